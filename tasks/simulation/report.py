"""What came of a simulation, in figures."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.simulation.following import TERMINAL, Seen


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a simulation. ``lost`` and ``duplicated`` must be 0, and every order acknowledged."""

    orders: int
    delivered: int
    cancelled: int
    lost: int
    duplicated: int
    placed_per_second: float
    delivered_per_second: float
    placing_ms: dict[str, float | None]
    delivery_seconds: dict[str, float | None]

    def as_json(self) -> dict[str, Any]:
        """Give the figures under their public names."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def percentiles(values: Iterable[float], digits: int) -> dict[str, float | None]:
    """Give the median, the 95th and the 99th percentile (nearest rank: values that occurred), or None of nothing."""
    ordered = sorted(values)
    return {
        name: round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], digits) if ordered else None
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }


def delivered_per_second(seen: Sequence[Seen]) -> float:
    """Give deliveries over the time from the first placing to the last delivery, by the shop's clock."""
    ends = [order.delivered_at for order in seen if order.status == "delivered" and order.delivered_at]
    starts = [order.placed_at for order in seen if order.placed_at]
    if not ends or not starts:
        return 0.0
    seconds = (max(ends) - min(starts)).total_seconds()
    return round(len(ends) / seconds, 1) if seconds > 0 else 0.0


def report(
    acknowledged: Sequence[str],
    seen: dict[str, Seen],
    *,
    waited: bool,
    unreadable: set[str],
    duplicated: int,
    seconds: float,
    placing: Sequence[float],
) -> Report:
    """Sum up. ``placing`` are the seconds that each acknowledged order took to be placed, ``seconds`` all together."""
    known = [seen[order_id] for order_id in acknowledged if order_id in seen]
    unfinished = {i for i in acknowledged if waited and (i not in seen or seen[i].status not in TERMINAL)}
    took = [
        (order.delivered_at - order.placed_at).total_seconds()
        for order in known
        if order.delivered_at and order.placed_at and order.status == "delivered"
    ]
    return Report(
        orders=len(acknowledged),
        delivered=sum(order.status == "delivered" for order in known),
        cancelled=sum(order.status == "cancelled" for order in known),
        lost=len(unfinished | unreadable),
        duplicated=duplicated,
        placed_per_second=round(len(acknowledged) / seconds, 1) if seconds else 0.0,
        delivered_per_second=delivered_per_second(known),
        placing_ms=percentiles((value * 1000 for value in placing), 1),
        delivery_seconds=percentiles(took, 3),
    )
