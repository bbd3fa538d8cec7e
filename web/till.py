"""The till: orders that come while another is being saved are saved together, in one transaction."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.kernel.unit_of_work import is_connection_loss
from domain.placing import Placed, Request

MOST = 50
"""Orders in one transaction at the most."""


class AbandonedError(Exception):
    """Whoever was saving this order was stopped in the middle: nobody knows, ask again with the same key."""


@dataclass(slots=True)
class _Waiting:
    request: Request
    outcome: Placed | Exception | None = None


class Till:
    """One per process. With little to do each order has its own transaction; in a rush they share one.

    A commit is a write to the disk, and a transaction five trips to the database: both cost fifty orders hardly more
    than one. Nobody waits for others to come: an order is saved as soon as the transaction before it has ended.
    """

    def __init__(self, save: Callable[[Sequence[Request]], Sequence[Placed | Exception]]) -> None:
        """``save`` runs one transaction; what it raises is everybody's, what it gives is each one's."""
        self._save = save
        self._turn = threading.Lock()
        self._waiting: deque[_Waiting] = deque()

    def place(self, request: Request) -> Placed:
        """Save an order, perhaps with others. Raises whatever there is against it."""
        mine = _Waiting(request)
        self._waiting.append(mine)
        with self._turn:
            while mine.outcome is None:  # else somebody before has saved it too
                self._serve([self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))])
        if isinstance(mine.outcome, Exception):
            raise mine.outcome
        return mine.outcome

    def _serve(self, batch: Sequence[_Waiting]) -> None:
        try:
            for waiting, outcome in zip(batch, self._together([w.request for w in batch]), strict=True):
                waiting.outcome = outcome
        finally:  # a stopped worker must leave nobody waiting for ever
            for waiting in batch:
                waiting.outcome = waiting.outcome or AbandonedError()

    def _together(self, requests: Sequence[Request]) -> Sequence[Placed | Exception]:
        try:
            return self._save(requests)
        except Exception as error:
            if len(requests) == 1 or is_connection_loss(error):
                return [error] * len(requests)
            return [outcome for request in requests for outcome in self._together([request])]
