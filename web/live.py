"""Orders being watched: one ear on Redis and one query every two seconds for all of them, however many watch."""

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import redis
import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from domain.kernel.unit_of_work import Database
from domain.orders import TIMES, TRANSITIONS
from domain.settings import Settings, SettingsError
from tasks.bus.live import Hint, listen

REREAD = 2.0
"""Seconds after which the watched orders are read again without a hint."""
GATHER = 0.02
"""Seconds in which hints gather before they are read, so that a rush is one query and not a thousand."""
MOST = 500
"""Who may watch in one process at a time: half of its connections. Whoever comes then asks again now and then."""
PREFIX = "order-"

_STATUS = {event.__name__: status for event, (_, status) in TRANSITIONS.items()}
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """An order took a step: its stream's sequence number then, the status it led to, and the order's times by name."""

    order_id: str
    sequence: int
    status: str
    times: Mapping[str, datetime | None]
    reason: str | None


_TIMES = (*TIMES, "estimated_ready_time", "estimated_delivery_time")
_COLUMNS = ", ".join(f"o.{name}" for name in _TIMES)

_SINCE = text(f"""
SELECT w.id, e.sequence, e.type, o.cancelled_reason, {_COLUMNS}
FROM unnest(CAST(:ids AS text[]), CAST(:after AS bigint[])) AS w (id, after)
JOIN events e ON e.stream = 'order-' || w.id AND e.sequence > w.after
JOIN orders o ON o.id = w.id
ORDER BY w.id, e.sequence
""")


def steps_since(connection: Connection, after: Mapping[str, int]) -> list[Step]:
    """Read the steps of these orders after a sequence number each, in their order."""
    rows = connection.execute(_SINCE, {"ids": list(after), "after": list(after.values())})
    return [
        Step(
            row.id,
            row.sequence,
            _STATUS[row.type],
            {name: getattr(row, name) for name in _TIMES},
            row.cancelled_reason if row.type == "OrderCancelled" else None,
        )
        for row in rows
        if row.type in _STATUS
    ]


Steps = queue.SimpleQueue[Step]


class Watch:
    """Tells those who watch an order of its steps. Starts its two threads with the first of them."""

    def __init__(self, settings: Settings, database: Callable[[], Database]) -> None:
        self._settings = settings
        self._database = database
        self._lock = threading.Lock()
        self._watchers: dict[str, set[Steps]] = defaultdict(set)
        self._read_to: dict[str, int] = {}
        self._hinted: set[str] = set()
        self._wake = threading.Event()
        self._started = False

    @contextmanager
    def watching(self, order_id: str, after: int) -> Iterator[Steps]:
        """Receive the order's steps after a sequence number; some may come twice when several watch."""
        steps: Steps = queue.SimpleQueue()
        with self._lock:
            self._watchers[order_id].add(steps)
            self._read_to[order_id] = min(after, self._read_to.get(order_id, after))
            self._hinted.add(order_id)  # what happened since the caller looked
            self._start()
        self._wake.set()
        try:
            yield steps
        finally:
            with self._lock:
                self._watchers[order_id].discard(steps)
                if not self._watchers[order_id]:
                    del self._watchers[order_id], self._read_to[order_id]

    @property
    def is_full(self) -> bool:
        """Whether so many watch already that there is no room for another."""
        with self._lock:
            return sum(map(len, self._watchers.values())) >= MOST

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        threading.Thread(target=self._read, name="watch-read", daemon=True).start()
        if self._settings.bus == "celery":
            threading.Thread(target=self._listen, name="watch-listen", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                for hints in listen(self._settings.results()):
                    self._note(hints)
            except (redis.RedisError, SettingsError, OSError, ValueError) as error:
                _logger.debug("hints_not_heard", error=type(error).__name__)
            time.sleep(1)

    def _note(self, hints: Sequence[Hint]) -> None:
        with self._lock:
            for stream, sequence in hints:
                order_id = stream.removeprefix(PREFIX)
                if sequence > self._read_to.get(order_id, sequence):
                    self._hinted.add(order_id)
            hinted = bool(self._hinted)
        if hinted:
            self._wake.set()

    def _read(self) -> None:
        next_whole = time.monotonic() + REREAD
        while True:
            self._wake.wait(max(0.0, next_whole - time.monotonic()))
            self._wake.clear()
            if time.monotonic() >= next_whole:
                next_whole = time.monotonic() + REREAD
                self._tell(self._take_all())
            else:
                self._tell(self._take_hinted())
            time.sleep(GATHER)

    def _take_hinted(self) -> dict[str, int]:
        with self._lock:
            hinted, self._hinted = self._hinted, set()
            return {order_id: self._read_to[order_id] for order_id in hinted if order_id in self._read_to}

    def _take_all(self) -> dict[str, int]:
        with self._lock:
            self._hinted = set()
            return dict(self._read_to)

    def _tell(self, after: dict[str, int]) -> None:
        if not after:
            return
        try:
            with self._database().read() as connection:
                steps = steps_since(connection, after)
        except (SQLAlchemyError, SettingsError) as error:
            _logger.debug("watched_orders_not_read", error=type(error).__name__)
            return  # two seconds later it is tried again
        with self._lock:
            for step in steps:
                if step.order_id in self._read_to:
                    self._read_to[step.order_id] = max(step.sequence, self._read_to[step.order_id])
                    for watcher in self._watchers[step.order_id]:
                        watcher.put(step)
