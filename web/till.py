"""The till: orders that come to a process at the same time are saved in one transaction, by group commit."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from domain.kernel.unit_of_work import is_connection_loss
from domain.placing import Incoming, KeyReusedError, Outcome, Placed, is_in_the_way

MOST = 50
"""Orders in one transaction at the most."""
GATHERING = 0.005
"""Seconds in which as many may come as came last time."""
PATIENCE = 5.0
"""Seconds for which somebody waits to be served."""

_logger = structlog.get_logger(__name__)


class NotTogetherError(Exception):
    """Something was in the way of the transaction that orders shared, and none is saved: each may be tried alone."""


class UnansweredError(Exception):
    """The database is away or too slow, and nobody knows whether this order is saved: ask again with the same key."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """Somebody at the till, called when it is their turn to save for all who wait, or when that is done."""

    incoming: Incoming
    called: threading.Event = field(default_factory=threading.Event)
    serves: bool = False
    outcome: Placed | Exception = field(default_factory=UnansweredError)


class Till:
    """One per process. With little to do each order has its own transaction; in a rush they share one.

    A transaction is a write to the disk and several trips to the database: both cost fifty orders hardly more than one.
    Whoever comes first saves for all who wait (the leader of the group), then calls the first of those who came
    meanwhile.
    """

    def __init__(self, save: Callable[[Sequence[Incoming]], Sequence[Outcome]]) -> None:
        """``save`` runs one transaction: what it gives is each one's outcome, what it raises is everybody's."""
        self._save = save
        self._waiting: deque[_Waiting] = deque()
        self._guard = threading.Lock()
        self._saving = False
        self._last = 1
        self._expected = 0
        self._are_there = threading.Event()

    def place(self, incoming: Incoming) -> Placed:
        """Save an order, perhaps with others. Raises InvalidOrderError, NotTogetherError or UnansweredError."""
        mine = _Waiting(incoming)
        with self._guard:
            self._waiting.append(mine)
            if not self._saving:
                self._call_next()
            if len(self._waiting) >= self._expected:
                self._are_there.set()
        self._wait(mine)
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

    def _wait(self, mine: _Waiting) -> None:
        """Wait to be called; whoever has waited too long, or is stopped meanwhile, leaves and is not saved."""
        try:
            if mine.called.wait(PATIENCE):
                return
        except BaseException:
            self._leave(mine)
            raise
        if self._leave(mine):
            raise UnansweredError
        mine.called.wait()  # it is being saved this moment

    def _leave(self, mine: _Waiting) -> bool:
        with self._guard:
            if mine not in self._waiting:
                return False
            self._waiting.remove(mine)
            if mine.serves:
                self._call_next()
            return True

    def _serve(self) -> None:
        """Save the orders of all who wait, oneself first."""
        batch = self._take(1)
        try:
            self._gather()
            batch += self._take(MOST - 1)
            self._last = len(batch)
            for each, outcome in zip(batch, self._outcomes([each.incoming for each in batch]), strict=True):
                each.outcome = outcome
        finally:  # even where this one is stopped in the middle, nobody may wait for ever
            for each in batch:
                each.called.set()
            with self._guard:
                self._call_next()

    def _take(self, most: int) -> list[_Waiting]:
        with self._guard:
            return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def _gather(self) -> None:
        """Let those come along who are just being read; in a rush, as many as last time."""
        time.sleep(0)
        with self._guard:
            self._expected = self._last - 1
            self._are_there.clear()
            if len(self._waiting) >= self._expected:
                return
        self._are_there.wait(GATHERING)

    def _outcomes(self, incoming: Sequence[Incoming]) -> Sequence[Placed | Exception]:
        try:
            return self._save(incoming)
        except Exception as error:
            lost = is_connection_loss(error)
            foreseen = lost or is_in_the_way(error) or isinstance(error, KeyReusedError)
            say = _logger.warning if foreseen else _logger.error
            say("orders_not_saved_together", error=type(error).__name__, orders=len(incoming))
            return [_made(UnansweredError if lost else NotTogetherError, error) for _ in incoming]


def _made(kind: type[Exception], cause: Exception) -> Exception:
    """Make an exception of one's own for each, for each is raised elsewhere."""
    error = kind()
    error.__cause__ = cause
    return error
