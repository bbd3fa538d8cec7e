"""Drivers: those whom the settings name, and whoever the staff take on besides."""

from typing import Annotated, Any

from domain.entry import Ask, Entry, Name, Retired
from domain.kernel.unit_of_work import UnitOfWork
from domain.register import Register
from domain.settings import MOST_DRIVERS


class Driver(Entry):
    """Somebody who takes orders to the door."""

    name: Name
    on_duty: Annotated[
        bool,
        Ask(
            "On duty",
            "Say true or false.",
            "yes",
            column="active",
            hint="Whoever is not gets no new tour; one that is on is ended.",
        ),
    ] = True
    retired: Retired = False


class Drivers(Register):
    """The register of drivers; their ids are numbers."""

    name = "drivers"
    one = "driver"
    about = "Who takes orders to the door."
    table = "drivers"
    entry = Driver
    order = "id"
    id_type = int
    id_pattern = "[1-9][0-9]{0,8}"

    def _new(self, work: UnitOfWork, entry: Any) -> dict[str, Any]:
        """Give a number above all that the settings can name, and above those that were given."""
        last = work.run("SELECT greatest(max(id), :most) FROM drivers", most=MOST_DRIVERS).scalar_one()
        return {"id": last + 1}


register = Drivers()
