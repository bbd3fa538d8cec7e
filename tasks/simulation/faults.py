"""What goes wrong on a played day: brought about in the shop's database while everything runs, and always undone."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from domain import delivery
from domain.delivery import UnknownDriverError
from domain.kernel.unit_of_work import UnitOfWork
from domain.settings import settings
from tasks.database import database
from tasks.gateways.switch import switch
from tasks.simulation.day import FaultKind
from tasks.simulation.ledger import patiently

_MODES = {"oven": "out", "sms": "faulty"}
_SAID = {
    "oven": ("The oven is out: nothing goes in.", "The oven is back."),
    "sms": ("The SMS service is down.", "The SMS service is back."),
}


@dataclass(frozen=True, slots=True)
class _Change:
    """How a fault comes and goes, what is said of either, and what a person can do where it does not go."""

    do: Callable[[UnitOfWork], object]
    undo: Callable[[UnitOfWork], object]
    begun: str
    ended: str
    by_hand: str


class Faults:
    """Brings faults about. At the end of its ``with`` block, however that ends, everything is as it was before."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Prepare; ``say`` is told what happens, in sentences."""
        self._say = say
        self._open: dict[FaultKind, _Change] = {}
        self.left: list[str] = []
        """What could not be undone, in sentences that say what to do."""

    def __enter__(self) -> "Faults":
        return self

    def __exit__(self, *_: object) -> None:
        for kind in list(self._open):
            try:
                self.end(kind)
            except SQLAlchemyError:
                self.left.append(
                    f"The database does not answer, so a fault stays: undo it by {self._open[kind].by_hand}."
                )
                self._say(self.left[-1])

    def begin(self, kind: FaultKind) -> None:
        """Bring a fault about, and say so."""
        change = patiently(lambda: _sick_driver() if kind == "driver" else _outage(kind))
        if change is None:
            self._say("There is only one driver, who therefore does not fall ill.")
            return
        self._open[kind] = change  # before it is done: whoever is interrupted in between undoes it too
        patiently(lambda: _apply(change.do))
        self._say(change.begun)

    def end(self, kind: FaultKind) -> None:
        """Undo a fault, and say so."""
        if change := self._open.get(kind):
            patiently(lambda: _apply(change.undo))
            del self._open[kind]
            self._say(change.ended)


def _apply(step: Callable[[UnitOfWork], object]) -> None:
    with database().begin("simulate") as work:
        step(work)


def _outage(gateway: str) -> _Change:
    with database().read() as connection:
        before = connection.execute(
            text("SELECT mode FROM switches WHERE gateway = :gateway"), {"gateway": gateway}
        ).scalar()
    begun, ended = _SAID[gateway]
    return _Change(
        lambda work: switch(work, gateway, _MODES[gateway]),
        lambda work: switch(work, gateway, before),
        begun,
        ended,
        f"`pizzeria gateway {gateway} {before or 'reset'}`",
    )


def _sick_driver() -> _Change | None:
    with database().read() as connection:
        drivers = delivery.who_drives(connection, settings())
    if len(drivers) < 2:
        return None
    driver = drivers[0]
    return _Change(
        lambda work: delivery.set_duty(work, driver.id, on_duty=False),
        lambda work: _welcome_back(work, driver.id),
        f"{driver.name}, who drives, falls ill and goes home.",
        f"{driver.name} is well again.",
        f"`pizzeria drivers back {driver.id}`",
    )


def _welcome_back(work: UnitOfWork, driver_id: int) -> None:
    with suppress(UnknownDriverError):  # retired meanwhile
        delivery.set_duty(work, driver_id, on_duty=True)
