"""Places many orders over a few connections, all at once or evenly spaced."""

import queue
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.simulation.baskets import Baskets, Body
from tasks.simulation.shop import CONNECTIONS, NoAnswer, Shop

PATIENCE = 120.0
"""Seconds without an answer after which an order is given up."""


@dataclass(slots=True)
class Placed:
    """An order that somebody tried to place. ``seconds`` is from when it was to be placed until it was acknowledged."""

    body: Body
    key: str
    id: str | None = None
    seconds: float = 0
    problem: str | None = None


@dataclass(slots=True)
class Placing:
    """Places orders; ``step`` is told after each whether it was acknowledged, from any thread."""

    shop: Shop
    step: Callable[[bool], None]
    rate: float | None = None
    orders: list[Placed] = field(default_factory=list)
    seconds: float = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    _answered: float = 0
    _gave_up: bool = False

    def run(self, number: int, baskets: Baskets) -> None:
        """Place so many orders. With a rate an order's time begins when it is its turn, whether or not one is free."""
        self.orders = [Placed(baskets.next(), uuid.uuid4().hex) for _ in range(number)]
        waiting: queue.SimpleQueue[tuple[int, Placed]] = queue.SimpleQueue()
        for index, order in enumerate(self.orders):
            waiting.put((index, order))
        self.shop.stopping = self.stopping.is_set
        started = self._answered = time.monotonic()
        threads = [
            threading.Thread(target=self._work, args=(waiting, started), daemon=True)
            for _ in range(min(CONNECTIONS, number))
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

    def _work(self, waiting: "queue.SimpleQueue[tuple[int, Placed]]", started: float) -> None:
        while not self.stopping.is_set():
            try:
                index, order = waiting.get_nowait()
            except queue.Empty:
                return
            due = time.monotonic()
            if self.rate:
                due = started + index / self.rate
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
                order.id = str(answer.json()["id"])
                order.seconds = time.monotonic() - due
            else:
                order.problem = f"refused with {answer.status_code}: {answer.text[:200]}"
        except NoAnswer as error:
            order.problem, self._gave_up = str(error), True
        except (ValueError, KeyError) as error:
            order.problem = f"acknowledged without an id ({type(error).__name__})"


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
