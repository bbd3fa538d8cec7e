"""Messages in the broker that nobody of the pizzeria sent: they change nothing, and stop nobody."""

import base64
import json
import pickle
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tasks.registry import registry
from tests.acceptance.conftest import Shop
from tests.conftest import until

pytestmark = pytest.mark.acceptance

HANDLER = "inventory"


@pytest.fixture(scope="module")
def shop(new_shop: Callable[..., Shop]) -> Shop:
    shop = new_shop()
    shop.open()
    shop.wait_until_delivered([shop.place()])
    shop.check()  # which waits until the last timer has run
    return shop


def message(body: bytes, task: str = HANDLER, content_type: str = "application/json", **headers: Any) -> bytes:
    """Write a message as Celery would, in the form in which it lies in Redis."""
    mark = uuid4().hex
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8" if "json" in content_type else "binary",
            "content-type": content_type,
            "headers": {"lang": "py", "task": task, "id": mark, "root_id": mark, "retries": 0, **headers},
            "properties": {
                "correlation_id": mark,
                "delivery_mode": 2,
                "delivery_tag": mark,
                "delivery_info": {"exchange": "", "routing_key": HANDLER},
                "priority": 0,
                "body_encoding": "base64",
            },
        }
    ).encode()


def call(*args: Any, **kwargs: Any) -> bytes:
    return json.dumps([args, kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]).encode()


class Bomb:
    """Unpickled, it would end the worker."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os._exit, (1,)


STRANGE: dict[str, bytes] = {
    "an unknown task": message(call([1]), task="pay_everybody"),
    "a task of Celery's own": message(call([[1]]), task="celery.backend_cleanup"),
    "no arguments": message(call()),
    "too many arguments": message(call([1], 2, 3)),
    "named arguments": message(call(positions=[1], more=1)),
    "text for positions": message(call("'; DROP TABLE orders; --")),
    "no list of whole numbers": message(call([1.5, True, None, "1", -1, 2**80])),
    "a position that does not exist": message(call([9_000_000_000])),
    "a position of an event for somebody else": message(call(list(range(1, 50)))),
    "a million positions": message(call(list(range(1, 1_000_001)))),
    "a pickled body": message(pickle.dumps([([1],), {}, {}]), content_type="application/x-python-serialize"),
    "a pickled bomb": message(pickle.dumps(Bomb()), content_type="application/x-python-serialize"),
    "a body that is no JSON": message(b"\xff\xfe{not json"),
    "a body that is not a call": message(b'{"positions": [1]}'),
    "an unknown encoding": message(b"1", content_type="application/x-unheard-of"),
    "no headers": json.dumps({**json.loads(message(call([1]))), "headers": {}}).encode(),
    "headers of odd types": message(call([1]), retries="many", timelimit="never", eta="yesterday", expires="x"),
    "no properties": b'{"body": "W10=", "content-type": "application/json", "headers": {"task": "inventory"}}',
    "a call of the wrong types": message(b"[1, 2, 3]"),
    "a call with a callback that nobody knows": message(b'[[[1]], {}, {"callbacks": [1], "chord": "x"}]'),
    "JSON that is no message": b"[1, 2, 3]",
    "JSON too deep to be read": b"[" * 100_000,
    "garbage": b"\x00\xffgarbage\n\r\n*3\r\n",
    "nothing": b"",
}


def state(shop: Shop) -> list[Any]:
    """Give what a message could have changed."""
    return shop.rows(
        "SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM outbox) AS outbox,"
        " (SELECT count(*) FROM orders) AS orders, (SELECT sum(quantity) FROM ingredients) AS stock,"
        " (SELECT md5(string_agg(d::text, ',' ORDER BY position, handler)) FROM deliveries d) AS deliveries,"
        " (SELECT md5(string_agg(m::text, ',' ORDER BY key)) FROM messages m) AS messages"
    )


@pytest.fixture(scope="module")
def untouched(shop: Shop) -> list[Any]:
    """What every strange message must leave as it was, however late a worker looks at it."""
    return state(shop)


@pytest.mark.parametrize("what", STRANGE)
def test_a_message_that_nobody_sent_changes_nothing_and_stops_no_worker(
    shop: Shop, untouched: list[Any], what: str
) -> None:
    workers = shop.pids(f"pizzeria worker {HANDLER}")
    with shop.broker() as broker:
        broker.lpush(HANDLER, STRANGE[what])
        until(lambda: not broker.llen(HANDLER) and not broker.hlen("unacked"), 30, "a worker's refusing it")
    assert state(shop) == untouched
    assert shop.pids(f"pizzeria worker {HANDLER}") == workers


def test_orders_are_delivered_though_every_queue_is_full_of_strange_messages(shop: Shop) -> None:
    workers = shop.pids("pizzeria worker")
    with shop.broker() as broker:
        for queue in sorted({*registry().in_use, "oven", "pass"}):
            broker.lpush(queue, *STRANGE.values())
    shop.wait_until_delivered([shop.place() for _ in range(3)], 30)
    shop.check()
    assert shop.pids("pizzeria worker") == workers


def test_no_log_shows_what_a_stranger_wrote(shop: Shop) -> None:
    secret = "4111 1111 1111 1111"
    with shop.broker() as broker:
        for task in (HANDLER, "pay_everybody"):
            broker.lpush(HANDLER, message(call(secret), task=task), message(f'"{secret}"'.encode(), task=task))
        until(lambda: not broker.llen(HANDLER) and not broker.hlen("unacked"), 30, "a worker's refusing it")
    log = (shop.home / "log" / f"worker-{HANDLER}.log").read_text()
    assert "message_refused" in log
    assert secret not in log
