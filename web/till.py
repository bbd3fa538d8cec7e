"""The till: where a process's orders are saved, those that come at the same time in one transaction."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from domain.kernel.unit_of_work import is_connection_loss
from domain.placing import Incoming, Outcome, Placed

MOST = 50
"""Orders in one transaction at the most."""
PATIENCE = 0.005
"""Seconds in which as many may come as came last time."""
_NAP = 0.0005


class NotTogetherError(Exception):
    """Something was in the way of the transaction that orders shared, and none is saved: each may be tried alone."""


class AbandonedError(Exception):
    """Whoever was saving this order was stopped in the middle: nobody knows, ask again with the same key."""


@dataclass(slots=True)
class _Waiting:
    """Somebody at the till, called when it is their turn to save for all who wait, or when that is done."""

    incoming: Incoming
    called: threading.Event = field(default_factory=threading.Event)
    serves: bool = False
    outcome: Placed | Exception = field(default_factory=AbandonedError)


class Till:
    """One per process. With little to do each order has its own transaction; in a rush they share one.

    A transaction is a write to the disk and several trips to the database: both cost fifty orders hardly more than one.
    Whoever comes first saves for all who wait, and then calls the first of those who came meanwhile.
    """

    def __init__(self, save: Callable[[Sequence[Incoming]], Sequence[Outcome]]) -> None:
        """``save`` runs one transaction: what it gives is each one's outcome, what it raises is everybody's."""
        self._save = save
        self._waiting: deque[_Waiting] = deque()
        self._guard = threading.Lock()
        self._saving = False
        self._last = 1

    def place(self, incoming: Incoming) -> Placed:
        """Save an order, perhaps with others. Raises whatever there is against it, or NotTogetherError."""
        mine = _Waiting(incoming)
        with self._guard:
            self._waiting.append(mine)
            if not self._saving:
                self._call_next()
        mine.called.wait()
        if mine.serves:
            self._serve()
        if isinstance(mine.outcome, Exception):
            raise mine.outcome
        return mine.outcome

    def _call_next(self) -> None:
        self._saving = bool(self._waiting)
        if self._saving:
            self._waiting[0].serves = True
            self._waiting[0].called.set()

    def _serve(self) -> None:
        """Save the orders of all who wait, oneself first."""
        batch = [self._waiting.popleft()]
        try:
            self._gather()
            batch += [self._waiting.popleft() for _ in range(min(MOST - 1, len(self._waiting)))]
            self._last = len(batch)
            for each, outcome in zip(batch, self._outcomes([each.incoming for each in batch]), strict=True):
                each.outcome = outcome
        finally:  # even where this one is stopped in the middle, nobody may wait for ever
            for each in batch:
                each.called.set()
            with self._guard:
                self._call_next()

    def _outcomes(self, incoming: Sequence[Incoming]) -> Sequence[Placed | Exception]:
        try:
            return self._save(incoming)
        except Exception as error:
            return [error if is_connection_loss(error) else NotTogetherError()] * len(incoming)

    def _gather(self) -> None:
        """Let those come along who are just being read; in a rush, as many as last time."""
        time.sleep(0)
        until = time.monotonic() + PATIENCE
        while 1 + len(self._waiting) < self._last and time.monotonic() < until:
            time.sleep(_NAP)
