"""Kills during a rush: whatever dies, nothing is lost and nothing is done twice."""

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.conftest import Shop, answer
from tests.conftest import until

pytestmark = pytest.mark.acceptance

ORDERS = 60
RATE = 15
RECOVERY = 60
"""Seconds within which every order must be at its door, whatever died meanwhile."""


@pytest.fixture(scope="module")
def shop(new_shop: Callable[..., Shop]) -> Shop:
    shop = new_shop()
    shop.open("--scale", "inventory=2")
    return shop


def flush(shop: Shop) -> None:
    with shop.broker() as broker:
        broker.flushall()


def kill_children(shop: Shop) -> None:
    """Kill what the workers' own children are doing; the workers themselves live on."""
    children = [pid for name in ("kitchen", "oven", "sms") for pid in shop.children(f"pizzeria worker {name}")]
    assert children
    for pid in children:
        os.kill(pid, signal.SIGKILL)


EVERYTHING = ("pizzeria web", "pizzeria relay", "pizzeria worker", "redis-server", "bin/postgres")

FAULTS: dict[str, Callable[[Shop], None]] = {
    "workers": lambda shop: shop.kill(*(f"pizzeria worker {name}" for name in ("kitchen", "oven", "pass", "sms"))),
    "children of workers": kill_children,
    "relay": lambda shop: shop.kill("pizzeria relay"),
    "web": lambda shop: shop.kill("pizzeria web"),
    "PostgreSQL": lambda shop: shop.kill("bin/postgres"),
    "Redis": lambda shop: shop.kill("redis-server"),
    "FLUSHALL": flush,
    "everything at once": lambda shop: shop.kill(*EVERYTHING),
}


@pytest.mark.parametrize("what", FAULTS)
def test_nothing_is_lost_or_done_twice_when_it_dies_in_a_rush(shop: Shop, what: str) -> None:
    before = shop.value("SELECT count(*) FROM orders")
    simulation = shop.begin("simulate", str(ORDERS), "--rate", str(RATE), "--json")
    until(lambda: shop.value("SELECT count(*) FROM orders") >= before + ORDERS // 3, 30, "the rush")
    FAULTS[what](shop)
    said = answer(simulation, 180)
    assert said.out, said.err
    figures: dict[str, Any] = json.loads(said.out)
    assert (figures["orders"], figures["delivered"]) == (ORDERS, ORDERS)
    assert (figures["lost"], figures["duplicated"], said.code) == (0, 0, 0)
    assert figures["delivery_seconds"]["p99"] < (RECOVERY if what != "everything at once" else 90)


def test_after_all_of_that_every_invariant_holds_and_nothing_is_parked(shop: Shop) -> None:
    shop.check()
    assert shop.value("SELECT count(*) FROM deliveries WHERE state = 'parked'") == 0
