"""What the acceptance tests share: a pizzeria of real processes, seen over HTTP, in its database and in its broker."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest
import redis
from psycopg.rows import namedtuple_row

from tasks.cli.worker import READY_FILE
from tests.conftest import Pizzeria, copy_code, free_port, until
from tests.fakes import twilio

OPEN = "Ctrl-C ends it"
QUICK = {
    "bake_seconds": 0,
    "drive_seconds": 0,
    "drivers": 50,
    "oven_capacity": 50,
    "stock": "ample",
    "rate_limits": "off",
    "web_workers": 1,
}
ORDER: dict[str, Any] = {
    "customer": {"name": "Ada Lovelace", "phone": "+12125550101", "email": "ada@example.com"},
    "fulfilment": "delivery",
    "payment": "cash",
    "address": "1 Analytical Row",
    "items": [{"pizza": "margherita", "size": "medium", "quantity": 1}],
}


class Said(NamedTuple):
    """What a command answered: its exit code, and what it wrote to stdout and stderr."""

    code: int
    out: str
    err: str


@dataclass
class Shop(Pizzeria):
    """A pizzeria that can be ordered from, and looked into."""

    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=30))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.env['PIZZERIA_PORT']}"

    def open(self, *words: str) -> "subprocess.Popen[str]":
        """Run `pizzeria up`, without Flower, until it says that it is open; an early end fails at once."""
        said = self.output.count(OPEN)
        process = self.start("up", "--scale", "flower=0", *words)
        until(lambda: self.output.count(OPEN) > said or process.poll() is not None, 180, "opening")
        assert process.poll() is None, self.output
        return process

    def serve(self) -> None:
        """Run the servers and web alone: no relay, no worker."""
        self.start("services")
        self.services()
        code, said = self.run("migrate")
        assert code == 0, said
        self.start("web")
        until(self.is_ready, 60, "the web server")

    def is_ready(self) -> bool:
        try:
            return self.http.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def worker(self, *words: str, **env: str) -> "subprocess.Popen[str]":
        """Run a worker until it takes messages."""
        ready = self.home / f"ready-{len(self._started)}"
        apart = Shop(self.home, {**self.env, **env, READY_FILE: str(ready)}, http=self.http)
        process = apart.start("worker", *words)
        self._started.append(process)
        until(lambda: ready.exists() or process.poll() is not None, 60, "the worker's readiness")
        assert process.poll() is None, self.output
        return process

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command whose answer is read later, by ``answer``."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PIZZERIA_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "tasks.cli", *words],
            env={**clean, "PIZZERIA_HOME": str(self.home), **self.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def ask(self, *words: str, seconds: float = 120) -> Said:
        """Run a command to its end."""
        return answer(self.begin(*words), seconds)

    def check(self) -> None:
        """Have every invariant tried over the whole database."""
        said = self.ask("check")
        assert said.code == 0, said.out + said.err

    def post(self, **changes: Any) -> httpx.Response:
        """Order a margherita for delivery, unless told otherwise."""
        return self.http.post(f"{self.url}/api/orders", json=ORDER | changes)

    def place(self, **changes: Any) -> str:
        """Order, and give the order's id."""
        placed = self.post(**changes)
        assert placed.status_code == 201, placed.text
        return str(placed.json()["id"])

    def wait_until_delivered(self, order_ids: Sequence[str], seconds: float = 60) -> None:
        """Wait until all of them are; fail after some seconds in which not one more was."""
        delivered, all_of_them = 0, len(order_ids)
        while delivered < all_of_them:
            more = partial(self._more_delivered, list(order_ids), delivered)
            delivered = until(more, seconds, f"one more delivery than {delivered} of {all_of_them}")

    def _more_delivered(self, order_ids: list[str], before: int) -> int:
        sql = "SELECT count(*) FROM orders WHERE id = ANY(%s) AND status = 'delivered'"
        now = int(self.value(sql, order_ids))
        return now if now > before else 0

    def rows(self, sql: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.services()["database_url"], row_factory=namedtuple_row) as connection:
            cursor = connection.execute(sql.encode(), values)
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

    @contextlib.contextmanager
    def broker(self) -> Iterator["redis.Redis"]:
        with redis.Redis.from_url(self.services()["broker_url"], socket_timeout=10) as client:
            yield client

    def end(self) -> None:
        """End what was started: the first, which may be the servers, when the others are gone."""
        others = [process for process in self._started[1:] if process.poll() is None]
        for process in others:
            process.terminate()
        for process in others:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
        super().end()
        self.http.close()


def answer(
    process: "subprocess.Popen[str]",
    seconds: float = 120,
    stop: "Callable[[subprocess.Popen[str]], None]" = subprocess.Popen.kill,
) -> Said:
    """Wait for a command's end and give its answer; one that does not end is stopped."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        stop(process)
        out, err = process.communicate()
        pytest.fail(f"{process.args!r} did not end within {seconds} s: {out}{err}")
    return Said(process.returncode, out, err)


@pytest.fixture(scope="module")
def new_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Shop]]:
    """Make a pizzeria on ports and a HOME of its own, not started yet; settings are given without their prefix."""
    ending = contextlib.ExitStack()

    def make(tree: Path | None = None, **settings: object) -> Shop:
        given = QUICK | {"port": free_port(), "flower_port": free_port()} | settings
        env = {f"PIZZERIA_{name.upper()}": str(value) for name, value in given.items()}
        if tree:  # instead of the folder that the tests run in
            env |= {"PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}
        shop = Shop(tmp_path_factory.mktemp("shop") / "home", env)
        ending.callback(shop.end)
        return shop

    with ending:
        yield make


@pytest.fixture(scope="module")
def sms_service() -> Iterator[dict[str, object]]:
    """Settings of an SMS service that knows which numbers there are, and serves until the end of the file."""
    with twilio.running() as service:
        yield {
            "sms": "twilio",
            "twilio_url": service.url,
            "twilio_account_sid": twilio.ACCOUNT,
            "twilio_auth_token": twilio.TOKEN,
            "twilio_from": twilio.SENDER,
        }


@pytest.fixture(scope="module")
def copy_tree(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Copy the pizzeria's code, to be changed."""
    return lambda: copy_code(tmp_path_factory.mktemp("tree"))
