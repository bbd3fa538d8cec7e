"""Customers who think better of it: they cancel as soon as their order is taken, or too late."""

import threading
import time
from dataclasses import dataclass
from typing import Literal

from tasks.simulation.placing import PATIENCE, Placed
from tasks.simulation.shop import NoAnswer, Shop

_LOOK = 0.02
_ONCE = 5.0


@dataclass(slots=True)
class Regret:
    """One order's cancellation, and what came of it."""

    shop: Shop
    order: Placed
    answer: Literal["cancelled", "too late"] | None = None
    problem: str | None = None

    def act(self, over: threading.Event) -> None:
        """Cancel the order once it is acknowledged, as long as ``over`` is not set."""
        while self.order.id is None:
            if self.order.problem or self.order.sold_out or over.wait(_LOOK):
                return
        deadline = time.monotonic() + PATIENCE
        while not over.is_set():
            try:
                status = self.shop.cancel(self.order.id, _ONCE).status_code
            except NoAnswer as error:
                if time.monotonic() > deadline:
                    self.problem = str(error)
                    return
                over.wait(_LOOK)
                continue
            if status in {200, 409}:
                self.answer = "cancelled" if status == 200 else "too late"
            else:
                self.problem = f"cancelling was answered with {status}"
            return
