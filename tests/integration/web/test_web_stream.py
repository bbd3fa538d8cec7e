"""Following orders: a real web server, real connections."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis

from domain import orders
from domain.database import connect
from domain.events import OrderCookingStarted, OrderEvent, OrderReady
from domain.kernel import clock
from domain.orders import Order, Orders
from tasks.bus.live import Announcer
from tests.conftest import Pizzeria, until
from tests.integration.web.test_web_api import ORDER
from web.live import REREAD

pytestmark = pytest.mark.integration


class Server:
    """`pizzeria web`, and the database behind it."""

    def __init__(self, pizzeria: Pizzeria, url: str) -> None:
        self.port = int(pizzeria.env["PIZZERIA_PORT"])
        self.database = connect(url)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        kinds = {"Content-Type": "application/json"} if body is not None else {}
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, kinds | headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        finally:
            connection.close()

    def up(self) -> bool:
        try:
            return self.ask("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def cook(self, order_id: str) -> None:
        self.advance(
            order_id,
            OrderCookingStarted,
            lambda o: OrderCookingStarted(**o.contact, load_id="l", estimated_ready_time=clock.now()),
        )

    def ready(self, order_id: str) -> None:
        self.advance(
            order_id,
            OrderReady,
            lambda o: OrderReady(
                **o.contact,
                fulfilment="delivery",
                ready_at=clock.now(),
                preparation_time=1,
                estimated_preparation_time=1,
            ),
        )

    def advance(self, order_id: str, kind: type[OrderEvent], happened: Callable[[Order], OrderEvent]) -> None:
        with self.database.begin("test") as work:
            assert Orders(work, [order_id]).advance([order_id], kind, happened)

    def cancel(self, order_id: str) -> None:
        with self.database.begin("test") as work:
            orders.cancel(work, order_id, "No dough.", "staff")

    @contextmanager
    def follow(self, order_id: str, **headers: str) -> Iterator["Follower"]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", f"/api/orders/{order_id}/stream", headers=headers)
        follower = Follower(connection.getresponse())
        try:
            yield follower
        finally:
            follower.leave(connection)


class Follower:
    """Reads a stream in a thread, and notes when each event came."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self.events: list[tuple[float, int, str]] = []
        self.ended = False
        self._thread = threading.Thread(target=self._read, args=(answer,))
        self._thread.start()

    def leave(self, connection: http.client.HTTPConnection) -> None:
        if connection.sock:
            connection.sock.shutdown(socket.SHUT_RDWR)  # wakes the reader; closing alone would wait for it
        self._thread.join(30)
        connection.close()

    def statuses(self) -> list[str]:
        return [status for _, _, status in self.events]

    def _read(self, answer: http.client.HTTPResponse) -> None:
        sequence = 0
        try:
            for line in answer:
                if line.startswith(b"id: "):
                    sequence = int(line[4:])
                elif line.startswith(b"data: "):
                    self.events.append((time.monotonic(), sequence, json.loads(line[6:])["status"]))
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass
        self.ended = True


@pytest.fixture
def server(pizzeria: Pizzeria, fresh_database: str, broker_url: str) -> Iterator[Server]:
    pizzeria.env |= {
        "PIZZERIA_DATABASE_URL": fresh_database,
        "PIZZERIA_BROKER_URL": broker_url,
        "PIZZERIA_WEB_WORKERS": "1",
    }
    pizzeria.start("web")
    it = Server(pizzeria, fresh_database)
    until(it.up, 30, "the web server")
    yield it
    it.database.engine.dispose()


def place(server: Server) -> str:
    status, order = server.ask("POST", "/api/orders", ORDER)
    assert status == 201
    return str(order["id"])


def test_a_stream_tells_the_present_then_every_step_and_ends(server: Server) -> None:
    order_id = place(server)
    with server.follow(order_id) as follower:
        until(lambda: follower.statuses() == ["placed"])
        server.cancel(order_id)
        until(lambda: follower.ended)
        assert [(sequence, status) for _, sequence, status in follower.events] == [(1, "placed"), (2, "cancelled")]


def test_a_stream_that_reconnects_catches_up_and_a_finished_one_says_stop(server: Server) -> None:
    order_id = place(server)
    server.cook(order_id)
    server.ready(order_id)
    with server.follow(order_id, **{"Last-Event-ID": "1"}) as follower:
        until(lambda: follower.statuses() == ["cooking", "ready"])
    with server.follow(order_id) as follower:
        until(lambda: follower.statuses() == ["ready"])
    other = place(server)
    server.cancel(other)
    assert server.ask("GET", f"/api/orders/{other}/stream", **{"Last-Event-ID": "2"}) == (204, None)


@pytest.mark.alone
def test_a_hundred_streams_hear_within_two_seconds_and_posts_still_pass(server: Server) -> None:
    ids = [place(server) for _ in range(5)]
    opened = [server.follow(ids[n % 5]) for n in range(100)]
    followers = [each.__enter__() for each in opened]
    try:
        until(lambda: all(f.statuses() == ["placed"] for f in followers))
        changed = time.monotonic()
        for order_id in ids:
            server.cook(order_id)
        assert server.ask("POST", "/api/orders", ORDER)[0] == 201
        until(lambda: all(f.statuses() == ["placed", "cooking"] for f in followers))
        assert max(f.events[-1][0] for f in followers) - changed < REREAD + 0.5
    finally:
        for each in opened:
            each.__exit__(None, None, None)


@pytest.mark.alone
def test_a_hint_arrives_at_once(server: Server, broker_url: str) -> None:
    order_id = place(server)
    announcer = Announcer(broker_url)
    with server.follow(order_id) as follower, Redis.from_url(broker_url) as redis:
        until(lambda: follower.statuses() == ["placed"])
        until(lambda: dict(redis.pubsub_numsub("pizzeria.live")).get(b"pizzeria.live"), what="the web's ear")

        def heard() -> bool:
            announcer.announce([(f"order-{order_id}", 2)])
            return len(follower.events) == 2

        changed = time.monotonic()
        server.cook(order_id)
        until(heard)
        assert follower.events[-1][0] - changed < 0.5


def test_a_body_in_pieces_is_not_too_long_unnoticed(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    pieces = (b" " * 8192 for _ in range(20))
    connection.request("POST", "/api/orders", pieces, {"Content-Type": "application/json"}, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["errors"]
    connection.close()
