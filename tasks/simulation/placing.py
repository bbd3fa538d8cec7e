"""Places many orders over a few connections, all at once or each at its time."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import httpx

from tasks.simulation.baskets import Body
from tasks.simulation.shop import CONNECTIONS, NoAnswer, Shop

PATIENCE = 120.0
"""Seconds without an answer after which an order is given up."""


@dataclass(slots=True)
class Placed:
    """An order that somebody tried to place. ``seconds`` is from when it was to be placed until it was acknowledged.

    ``after`` is when it is to be placed, in seconds from the beginning; without it, as soon as may be.
    """

    body: Body
    key: str
    after: float | None = None
    id: str | None = None
    seconds: float = 0
    problem: str | None = None
    total: Decimal | None = None
    """What the customer was told that it costs."""
    sold_out: bool = False
    """It was refused for what had sold out since the menu was read: an answer like any other."""


@dataclass(slots=True)
class Placing:
    """Places orders; ``step`` is told after each whether it was acknowledged, from any thread."""

    shop: Shop
    step: Callable[[bool], None]
    orders: list[Placed] = field(default_factory=list)
    seconds: float = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    _answered: float = 0
    _gave_up: bool = False

    def run(self, orders: Sequence[Placed]) -> None:
        """Place these orders. One's time begins when it is its turn, whether or not a connection is free."""
        self.orders = list(orders)
        waiting: queue.SimpleQueue[Placed] = queue.SimpleQueue()
        for order in self.orders:
            waiting.put(order)
        self.shop.stopping = self.stopping.is_set
        started = self._answered = time.monotonic()
        threads = [
            threading.Thread(target=self._work, args=(waiting, started), daemon=True)
            for _ in range(min(CONNECTIONS, len(self.orders)))
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
        finally:
            self.stopping.set()
        self.seconds = time.monotonic() - started

    def _work(self, waiting: "queue.SimpleQueue[Placed]", started: float) -> None:
        while not self.stopping.is_set():
            try:
                order = waiting.get_nowait()
            except queue.Empty:
                return
            due = time.monotonic()
            if order.after is not None:
                due = started + order.after
                if self.stopping.wait(max(0.0, due - time.monotonic())):
                    return
            if self._gave_up and time.monotonic() - self._answered > PATIENCE:
                order.problem = "not tried any more: the shop has not answered for too long"
            else:
                self._place(order, due)
            self.step(order.id is not None)

    def _place(self, order: Placed, due: float) -> None:
        try:
            answer = self.shop.place(order.body, order.key, PATIENCE)
            self._answered = time.monotonic()
            if answer.status_code == 201:
                taken = answer.json()
                order.total = Decimal(taken["total"]) if "total" in taken else None
                order.seconds = time.monotonic() - due
                order.id = str(taken["id"])
            elif answer.status_code == 422 and "sold out" in answer.text:
                order.sold_out = True
            else:
                order.problem = refusal(answer)
        except NoAnswer as error:
            order.problem, self._gave_up = str(error), True
        except (ValueError, KeyError, ArithmeticError) as error:
            order.problem = f"acknowledged without an id ({type(error).__name__})"


def refusal(answer: httpx.Response) -> str:
    """Say why an order was not taken."""
    try:
        problems = {error["field"]: error["problem"] for error in answer.json()["errors"]}
    except (ValueError, KeyError, TypeError):
        problems = {}
    if "Idempotency-Key" in problems and answer.status_code == 422:
        return "placed before, but not with the same pizzas"
    said = "; ".join(f"{field}: {problem}" for field, problem in problems.items()) or answer.text
    return f"refused with {answer.status_code}: {said[:200]}"


def repeat(shop: Shop, orders: list[Placed]) -> list[Placed]:
    """Place some orders once more with the same key; gives those that came back as another order."""
    twice: list[Placed] = []
    for order in orders:
        try:
            answer = shop.place(order.body, order.key, patience=30)
        except NoAnswer:
            continue
        if answer.status_code != 201 or answer.json()["id"] != order.id:
            twice.append(order)
    return twice
