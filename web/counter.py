"""The counter: where this process takes orders. Holds the settings, the database and the menu."""

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TypeVar

from flask import current_app
from sqlalchemy.exc import DBAPIError

from domain.basket import NewOrder
from domain.database import connect
from domain.kernel.failpoint import FailPoint
from domain.kernel.unit_of_work import Database, UnitOfWork, is_conflict
from domain.menu import CachedMenu, Menu
from domain.placing import Incoming, Outcome, Placed, is_in_the_way, place
from domain.settings import Settings
from tasks.bus.retry import spread
from web.live import Watch
from web.till import NotTogetherError, Till

LOCK_SECONDS = 0.2
"""Short: for whom one order waits, all that share its transaction wait too. What was in the way is tried again."""
PATIENCE = 5.0
"""Seconds for which a change is tried again while others are in its way."""

_CHANGED = FailPoint("web.changed")
_COMMITTED = FailPoint("web.committed")

T = TypeVar("T")


class Counter:
    """One per process. Connects on first use, so that it may be made before a server forks."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.watch = Watch(settings, lambda: self.database)
        self._menu = CachedMenu()
        self._till = Till(self._place_together)

    @cached_property
    def database(self) -> Database:
        """The database. Raises SettingsError when none is known."""
        return connect(self.settings.database(), connections=10, lock_seconds=LOCK_SECONDS)

    def menu(self) -> Menu:
        """Give the menu, a second old at the most."""
        with self.database.read() as connection:
            return self._menu.get(connection)

    def place(self, new: NewOrder, correlation_id: str, key: str | None = None) -> Placed:
        """Save an order, in a rush together with others. Raises InvalidOrderError or KeyReusedError."""
        incoming = Incoming(new, key, correlation_id)
        try:
            return self._till.place(incoming)
        except NotTogetherError:
            (outcome,) = self.change(correlation_id, lambda work: self._place(work, [incoming]), again=is_in_the_way)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _place_together(self, incoming: Sequence[Incoming]) -> Sequence[Outcome]:
        return self.change(incoming[0].correlation_id, lambda work: self._place(work, incoming), patience=0)

    def _place(self, work: UnitOfWork, incoming: Sequence[Incoming]) -> Sequence[Outcome]:
        return place(work, incoming, self._menu.get(work.connection), self.settings)

    def change(
        self,
        correlation_id: str,
        step: Callable[[UnitOfWork], T],
        patience: float = PATIENCE,
        again: Callable[[BaseException], bool] = is_conflict,
    ) -> T:
        """Run a step in a transaction, for some seconds again when another transaction was in its way."""
        until = time.monotonic() + patience
        tried = 0
        while True:
            try:
                with self.database.begin(correlation_id) as work:
                    done = step(work)
                    _CHANGED.reach()
                _COMMITTED.reach()
                return done
            except DBAPIError as error:
                if time.monotonic() >= until or not again(error):
                    raise
                tried += 1
                time.sleep(spread(0.01 * 2 ** min(tried, 5)))


def counter() -> Counter:
    """Give the counter of the application that answers this request."""
    here: Counter = current_app.extensions["counter"]
    return here
