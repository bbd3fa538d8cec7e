"""Follows orders until they are delivered or cancelled, without being a burden to the shop."""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tasks.simulation.shop import Shop

PATIENCE = 120.0
"""Seconds without progress after which the rest is given up."""

TERMINAL = frozenset({"delivered", "cancelled"})
_CONNECTIONS = 4
_SAMPLE = 20
_LARGEST = 500
_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Seen:
    """An order as the shop told it last; times are the shop's own."""

    status: str
    placed_at: datetime | None
    delivered_at: datetime | None
    items: Sequence[Mapping[str, Any]] = ()
    reason: str | None = None
    """Why it was cancelled."""


@dataclass(slots=True)
class Following:
    """Looks at orders in turn. ``progress`` is told how many are known to be done, and about how many are."""

    shop: Shop
    progress: Callable[[int, int], None]
    seen: dict[str, Seen] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)

    def run(self, order_ids: Iterable[str]) -> None:
        """Look until all are done, or nothing has changed for too long.

        In random turn a few at a time, so that a sample tells how far the shop is; only when nearly all of a sample
        are done is the rest looked at as fast as it goes: until then that would take from the shop what it works with.
        """
        waiting = deque(order_ids)
        random.shuffle(waiting)
        size, moved = _SAMPLE, time.monotonic()
        with ThreadPoolExecutor(_CONNECTIONS) as threads:
            while waiting and time.monotonic() - moved < PATIENCE:
                sample = [waiting.popleft() for _ in range(min(size, len(waiting)))]
                open_still = self._look(threads, sample)
                waiting.extend(open_still)
                done = len(sample) - len(open_still)
                moved = time.monotonic() if done else moved
                known = sum(1 for seen in self.seen.values() if seen.status in TERMINAL)
                self.progress(known, known + len(waiting) * done // len(sample))
                if done >= 0.9 * len(sample):
                    size = min(_LARGEST, size * 2)
                else:
                    size = _SAMPLE
                    time.sleep(_PAUSE)

    def glance(self, order_ids: Sequence[str]) -> None:
        """Look at each once."""
        with ThreadPoolExecutor(_CONNECTIONS) as threads:
            self._look(threads, order_ids)

    def _look(self, threads: ThreadPoolExecutor, order_ids: Sequence[str]) -> list[str]:
        """Look at some orders; gives those that are not done, as far as is known."""
        open_still = []
        for order_id, answer in zip(order_ids, threads.map(self.shop.look, order_ids), strict=True):
            if answer is not None and answer.status_code == 200:
                self.unreadable.discard(order_id)
                self.seen[order_id] = _seen(answer.json())
            elif answer is not None or order_id not in self.seen:
                self.unreadable.add(order_id)
            if order_id not in self.seen or self.seen[order_id].status not in TERMINAL:
                open_still.append(order_id)
        return open_still


def _seen(order: dict[str, Any]) -> Seen:
    return Seen(
        str(order["status"]),
        _time(order.get("placed_at")),
        _time(order.get("delivered_at")),
        order.get("items", ()),
        order.get("cancelled_reason"),
    )


def _time(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None
