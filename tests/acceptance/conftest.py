"""What the acceptance tests share: a pizzeria of real processes, seen over HTTP, in its database and in its broker."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis
from psycopg.rows import namedtuple_row

from tests.conftest import Pizzeria, free_port, until

TREE = Path(__file__).parents[2]
QUICK = {
    "BAKE_SECONDS": "0",
    "DRIVE_SECONDS": "0",
    "DRIVERS": "50",
    "OVEN_CAPACITY": "50",
    "STOCK": "ample",
    "RATE_LIMITS": "off",
}
OPEN = "Ctrl-C ends it"
MARGHERITA = {"pizza": "margherita", "size": "medium", "quantity": 1}


@dataclass
class Shop(Pizzeria):
    """A pizzeria that can be ordered from and looked into."""

    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=30))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.env['PIZZERIA_PORT']}"

    def open(self, *words: str) -> "subprocess.Popen[str]":
        """Run `pizzeria up` until it says that it is open; an early end fails at once."""
        said = self.output.count(OPEN)
        process = self.start("up", *words)
        until(lambda: self.output.count(OPEN) > said or process.poll() is not None, 180, "opening")
        assert process.poll() is None, self.output
        return process

    def serve(self) -> None:
        """Run the servers and web alone, without relay or worker."""
        self.start("services")
        self.services()
        code, said = self.run("migrate")
        assert code == 0, said
        self.start("web")
        until(self.answers, 60, "the web server")

    def answers(self) -> bool:
        try:
            return self.http.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def worker(self, *words: str) -> "subprocess.Popen[str]":
        """Run a worker until it takes messages."""
        ready = self.home / f"ready-{len(self._started)}"
        self.env["PIZZERIA_READY_FILE"] = str(ready)
        process = self.start("worker", *words)
        del self.env["PIZZERIA_READY_FILE"]
        until(lambda: ready.exists() or process.poll() is not None, 60, "the worker's readiness")
        assert process.poll() is None, self.output
        return process

    def post(self, **changes: Any) -> httpx.Response:
        """Order a margherita for delivery, unless told otherwise."""
        order: dict[str, Any] = {
            "customer": {"name": "Ada Lovelace", "phone": "+12125550101", "email": "ada@example.com"},
            "fulfilment": "delivery",
            "payment": "cash",
            "address": "1 Analytical Row",
            "items": [MARGHERITA],
        }
        return self.http.post(f"{self.url}/api/orders", json=order | changes)

    def place(self, **changes: Any) -> str:
        """Order, and give the order's id."""
        answer = self.post(**changes)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def status(self, order_id: str) -> str:
        return str(self.http.get(f"{self.url}/api/orders/{order_id}").json()["status"])

    def wait_until_delivered(self, order_ids: Sequence[str], seconds: float = 60) -> None:
        def delivered() -> bool:
            return self.value("SELECT count(*) FROM orders WHERE id = ANY(%s) AND status = 'delivered'", order_ids) == (
                len(order_ids)
            )

        until(delivered, seconds, f"the delivery of {len(order_ids)} orders")

    def rows(self, sql: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.services()["database_url"], row_factory=namedtuple_row) as connection:
            cursor = connection.execute(sql, [list(v) if isinstance(v, tuple) else v for v in values])  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def value(self, sql: str, *values: Any) -> Any:
        ((found,),) = self.rows(sql, *values)
        return found

    def deliveries(self, handler: str, order_id: str, event: str = "OrderPlaced") -> list[Any]:
        """Give a handler's deliveries of one kind of event of an order."""
        return self.rows(
            "SELECT d.* FROM deliveries d JOIN events e USING (position)"
            " WHERE d.handler = %s AND e.stream = %s AND e.type = %s",
            handler,
            f"order-{order_id}",
            event,
        )

    def events(self, order_id: str) -> list[str]:
        """Name what was recorded for an order, in its order."""
        found = self.rows("SELECT type FROM events WHERE stream = %s ORDER BY sequence", f"order-{order_id}")
        return [row.type for row in found]

    def broker(self) -> "redis.Redis":
        return redis.Redis.from_url(self.services()["broker_url"], socket_timeout=10)

    def simulate(self, *words: str, seconds: float = 150) -> tuple[int, dict[str, Any]]:
        """Run a simulation to its end; gives its exit code and its figures."""
        simulation = self.begin_simulation(*words)
        return simulation.wait(seconds), simulation.figures()

    def begin_simulation(self, *words: str) -> "Simulation":
        # In a file of its own: what other commands print must not come between.
        with tempfile.NamedTemporaryFile("w", dir=self.home, suffix=".json", delete=False) as out:
            apart = Shop(self.home, self.env, http=self.http)
            apart.__dict__["_printed_to"] = Path(out.name)
        return Simulation(self.start_into(Path(out.name), "simulate", *words, "--json"), Path(out.name))

    def check(self) -> None:
        """Have every invariant tried over the whole database."""
        code, said = self.run("check", seconds=120)
        assert code == 0, said

    def kill(self, words: str, *, group: bool = False) -> None:
        """Kill each process with these words, with its whole group if asked, and wait until it is back."""
        before = self.pids(words)
        assert before, f"no process is called {words}"
        for pid in before:
            try:
                (os.killpg if group else os.kill)(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        until(lambda: set(self.pids(words)) - set(before), 30, f"{words} again")

    def end(self) -> None:
        super().end()
        self.http.close()
