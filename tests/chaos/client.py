"""The customers of a run: each insists on an answer, with one key for one order, and writes down what it knows."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import httpx

from tasks.simulation.shop import CONNECTIONS, NoAnswer, Shop
from tests.chaos.journal import Journal
from tests.chaos.plan import Visit

Body = dict[str, Any]


class _Counter(Shop):
    def cancel(self, order_id: str, patience: float) -> httpx.Response:
        return self._insist("POST", f"/api/orders/{order_id}/cancel", patience=patience)


class Client:
    """Places orders at their moments from a few threads. Use as a context: on leaving it, nothing is sent any more."""

    def __init__(self, url: str, journal: Journal, patience: float) -> None:
        """``patience``: for how many seconds each insists on an answer."""
        self.shop = _Counter(url)
        self._journal = journal
        self._patience = patience
        self._threads = ThreadPoolExecutor(CONNECTIONS)
        self._futures: list[Future[object]] = []
        self._stopping = threading.Event()
        self.shop.stopping = self._stopping.is_set

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._threads.shutdown(cancel_futures=True)
        self.shop.close()

    def start(self, visits: Sequence[Visit], bodies: Sequence[Body]) -> None:
        """Begin to place the orders."""
        began = time.monotonic()

        def pace() -> None:
            for visit, body in zip(visits, bodies, strict=True):
                if self._stopping.wait(max(0.0, began + visit.at - time.monotonic())):
                    return
                self.place(visit, body)

        self._pacing = threading.Thread(target=pace, daemon=True)
        self._pacing.start()

    def place(self, visit: Visit, body: Body) -> None:
        """Have one order placed; returns at once."""
        self._journal.write("attempted", visit.key)
        self._futures.append(self._threads.submit(self._visit, visit, body))
        if visit.twice:
            self._futures.append(self._threads.submit(self._place, visit, body))

    def finish(self) -> None:
        """Wait until everybody has an answer or has given up."""
        self._pacing.join()
        for future in wait(self._futures).done:
            future.result()

    def _visit(self, visit: Visit, body: Body) -> None:
        order_id = self._place(visit, body)
        if order_id and visit.cancels:
            try:
                answer = self.shop.cancel(order_id, self._patience)
            except NoAnswer:
                return
            if answer.status_code == 200:
                self._journal.write("cancelled", visit.key)

    def _place(self, visit: Visit, body: Body) -> str | None:
        try:
            answer = self.shop.place(body, visit.key, self._patience)
        except NoAnswer:
            return None
        if answer.status_code != 201:
            self._journal.write("refused", visit.key, answer=f"{answer.status_code}: {answer.text[:200]}")
            return None
        order_id = str(answer.json()["id"])
        self._journal.write("acknowledged", visit.key, id=order_id)
        return order_id

    def look(self, order_ids: Sequence[str]) -> dict[str, str]:
        """Read orders over HTTP; gives the status of those that can be read."""
        found = {}
        for order_id, answer in zip(order_ids, self._threads.map(self.shop.look, order_ids), strict=True):
            if answer is not None and answer.status_code == 200:
                found[order_id] = str(answer.json()["status"])
        return found
