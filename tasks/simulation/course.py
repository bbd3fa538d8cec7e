"""A planned day on its way through a shop: its orders, those who cancel, and what they were told in the end."""

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial

from tasks.simulation.agenda import Doing
from tasks.simulation.day import SUPPLIES, Day, FaultKind
from tasks.simulation.faults import Faults
from tasks.simulation.following import Seen
from tasks.simulation.placing import Placed
from tasks.simulation.regrets import Regret
from tasks.simulation.shop import Shop
from tasks.simulation.supplies import bring
from tasks.simulation.takings import Entry


class Course:
    """A day that is played at a speed; it begins with the first order."""

    def __init__(self, day: Day, shop: Shop, speed: float) -> None:
        self._day = day
        self._speed = speed
        self._first = day.guests[0].at
        run = uuid.uuid4().hex
        self.orders = [
            Placed(guest.body, f"day-{run}-{number}", self._after(guest.at)) for number, guest in enumerate(day.guests)
        ]
        self.regrets = [
            (self._after(guest.at + guest.regrets), Regret(shop, order))
            for guest, order in zip(day.guests, self.orders, strict=True)
            if guest.regrets is not None
        ]

    def _after(self, at: timedelta) -> float:
        return (at - self._first).total_seconds() / self._speed

    def changes(self, faults: Faults, began: datetime) -> Iterator[Doing]:
        """Give what happens to the shop. ``began`` is the first order's time, by the shop's clock."""
        for at in SUPPLIES:
            yield Doing(self._after(at), lambda _: bring(began))
        for fault in self._day.faults:
            yield Doing(self._after(fault.begins), partial(_now, faults.begin, fault.kind))
            if fault.ends is not None:
                yield Doing(self._after(fault.ends), partial(_now, faults.end, fault.kind))

    def cancellations(self) -> Iterator[Doing]:
        """Give what its customers do; one who waits for an answer keeps the next ones waiting."""
        for after, regret in self.regrets:
            yield Doing(after, regret.act)

    def journal(self, seen: Mapping[str, Seen]) -> list[Entry]:
        """Give what those who ordered know: what they were told when they ordered, and what they saw in the end."""
        return [
            Entry(found.placed_at, found.status, sum(item["quantity"] for item in found.items), order.total)
            for order in self.orders
            if (found := seen.get(order.id or "")) and found.placed_at and order.total is not None
        ]

    def problems(self, seen: Mapping[str, Seen]) -> Iterator[str]:
        """Say which orders were not taken, and who was told that theirs is cancelled when it is not."""
        missing = [order for order in self.orders if not (order.id or order.sold_out)]
        if missing:
            yield f"{len(missing)} orders were not acknowledged; the first: {missing[0].problem}"
        for _, regret in self.regrets:
            found = seen.get(regret.order.id or "")
            if regret.problem:
                yield f"Order {regret.order.id} could not be cancelled: {regret.problem}"
            if regret.answer == "cancelled" and found and found.status != "cancelled":
                yield f"Order {regret.order.id} is {found.status}, though its customer was told that it is cancelled."


def _now(switch: Callable[[FaultKind], None], kind: FaultKind, _over: threading.Event) -> None:
    """Switch at once, whether or not all is over: what was begun is undone in any case."""
    switch(kind)
