"""Queues of their own: what is slow, missing or late on one of them delays nobody else, and nothing is ever lost."""

import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import Shop
from tests.conftest import until

pytestmark = pytest.mark.acceptance

ORDERS = 27
SECONDS = 0.51
"""The time of one slow event: so long that the relay puts no two of them into one message."""
LEASE = 30
"""Seconds after which a message is no longer given the benefit of the doubt."""

SLOW = f"""
import time
from domain.events import OrderPlaced
from tasks.bus.registry import Call, calls

@calls(OrderPlaced)
def take_time(placed: OrderPlaced, call: Call) -> None:
    time.sleep({SECONDS})
"""

# Every function of every handler sleeps first, the inside ones with their transaction open.
NAPPING = """

import os, time
from dataclasses import replace

def _napping(function):
    def run(*args):
        time.sleep(float(os.environ.get("NAP", "0")))
        return function(*args)
    return run

_wide_awake = registry

@cache
def registry() -> Registry:
    found = _wide_awake()
    for name, handler in found.handlers.items():
        slow = {event: replace(s, function=_napping(s.function)) for event, s in handler.subscriptions.items()}
        found.handlers[name] = replace(handler, subscriptions=slow)
    return found
"""


@pytest.fixture(scope="module")
def backlog(new_shop: Callable[..., Shop], copy_tree: Callable[[], Path]) -> Shop:
    """A shop without a worker for SMS, with one for `single` and three for `triple`, and some orders."""
    tree = copy_tree()
    for name in ("single", "triple"):
        (tree / "tasks" / "handlers" / f"{name}.py").write_text(SLOW)
    shop = new_shop(tree)
    shop.open("--scale", "sms=0", "--scale", "triple=3")
    (relay,) = shop.pids("pizzeria relay")
    os.kill(relay, signal.SIGSTOP)  # so that all the orders come to the queues at once
    for _ in range(ORDERS):
        shop.place()
    os.kill(relay, signal.SIGCONT)
    return shop


@pytest.fixture(scope="module")
def by_hand(new_shop: Callable[..., Shop], copy_tree: Callable[[], Path]) -> Shop:
    """Servers and web alone; the workers' handlers sleep as long as the environment says."""
    tree = copy_tree()
    with (tree / "tasks" / "registry.py").open("a") as file:
        file.write(NAPPING)
    shop = new_shop(tree)
    shop.serve()
    return shop


def orders(shop: Shop) -> list[str]:
    return [row.id for row in shop.rows("SELECT id FROM orders ORDER BY placed_at")]


def pending(shop: Shop, handler: str) -> int:
    return int(shop.value("SELECT count(*) FROM deliveries WHERE handler = %s AND state = 'pending'", handler))


def done(shop: Shop, handler: str) -> int:
    return int(shop.value("SELECT count(*) FROM deliveries WHERE handler = %s AND state = 'done'", handler))


def test_scale_starts_as_many_workers_as_it_says(backlog: Shop) -> None:
    logs = {path.name for path in (backlog.home / "log").glob("worker-*.log")}
    assert {"worker-triple.log", "worker-triple-2.log", "worker-triple-3.log", "worker-single.log"} <= logs
    assert not backlog.pids("pizzeria worker sms")


def test_a_queue_without_workers_delays_no_other(backlog: Shop) -> None:
    backlog.wait_until_delivered(orders(backlog), 30)
    assert done(backlog, "sms") == 0
    assert pending(backlog, "sms") >= ORDERS


@pytest.mark.alone
def test_three_workers_drain_a_backlog_of_slow_events_at_least_two_and_a_half_times_faster(backlog: Shop) -> None:
    """The same orders made both backlogs, at the same moment."""
    until(lambda: done(backlog, "single") == done(backlog, "triple") == ORDERS, 60, "the end of both backlogs")
    took = {
        row.handler: row.seconds
        for row in backlog.rows(
            "SELECT handler, extract(epoch FROM max(done_at) - min(started_at))::float AS seconds"
            " FROM deliveries WHERE handler IN ('single', 'triple') GROUP BY 1"
        )
    }
    assert took["single"] > ORDERS * SECONDS
    assert took["single"] / took["triple"] >= 2.5


def p95(shop: Shop, number: int) -> float:
    """Give the 95th percentile of the seconds in which so many orders are answered."""
    took = []
    for _ in range(number):
        started = time.monotonic()
        shop.place()
        took.append(time.monotonic() - started)
    return sorted(took)[math.ceil(0.95 * number) - 1]


@pytest.mark.alone
def test_web_alone_takes_orders_quickly_and_workers_that_start_later_drain_them(by_hand: Shop) -> None:
    assert p95(by_hand, 30) < 0.3
    by_hand.start("relay")
    sleepy = by_hand.worker("--concurrency", "8", NAP="3")
    until(lambda: by_hand.value("SELECT count(*) FROM deliveries WHERE dispatched_at IS NOT NULL"), 20, "messages")
    assert p95(by_hand, 50) < 0.3, "while every handler sleeps for three seconds"
    sleepy.terminate()
    assert sleepy.wait(30) == 0
    by_hand.worker("--concurrency", "2")
    by_hand.wait_until_delivered(orders(by_hand), 60)
    by_hand.check()


def test_what_waited_longer_than_a_lease_was_sent_once_and_is_drained_by_the_first_worker(backlog: Shop) -> None:
    oldest = "SELECT coalesce(extract(epoch FROM now() - min(dispatched_at)), 0) FROM deliveries WHERE handler = 'sms'"
    until(lambda: backlog.value(oldest) > LEASE + 3, LEASE + 15, "a wait longer than the lease")
    assert pending(backlog, "sms") >= ORDERS
    worker = backlog.worker("sms")
    until(lambda: pending(backlog, "sms") == 0, 30, "the end of the backlog")
    worker.terminate()
    backlog.check()
    assert backlog.value("SELECT count(*) FROM deliveries WHERE state = 'parked'") == 0
    assert backlog.value("SELECT max(sends) FROM deliveries WHERE handler = 'sms'") == 1
    assert backlog.value("SELECT max(sends) FROM deliveries") <= 2
