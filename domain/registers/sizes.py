"""Sizes: what pizzas come in, from the smallest to the largest."""

from typing import Any

from domain.entry import Entry, Name, Position, Retired
from domain.kernel.unit_of_work import UnitOfWork
from domain.register import ConflictError, Kept, Register


class Size(Entry):
    """A size that pizzas are sold in; a retired one cannot be ordered."""

    name: Name
    position: Position = None
    retired: Retired = False


class Sizes(Register):
    """The register of sizes. No two have one place: the kitchen counts by it."""

    name = "sizes"
    one = "size"
    about = "What pizzas come in, from the smallest to the largest."
    table = "sizes"
    entry = Size
    order = "rank"

    def _check(self, work: UnitOfWork, entry: Any, kept: Kept | None) -> None:
        super()._check(work, entry, kept)
        there = work.run("SELECT id, name FROM sizes WHERE rank = :rank", rank=entry.position).one_or_none()
        if there and (kept is None or there.id != kept["id"]):
            raise ConflictError(f"{there.name} has this place in the list: choose another one.", "position")


register = Sizes()
