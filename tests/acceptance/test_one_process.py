"""The whole order flow in the web's own process: PostgreSQL, but no broker, relay or worker."""

import json
from collections.abc import Callable

import pytest

from tests.acceptance.conftest import Shop
from tests.acceptance.flows import FLOWS, told

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def shop(new_shop: Callable[..., Shop], sms_service: dict[str, object]) -> Shop:
    shop = new_shop(bus="memory", **sms_service)
    shop.open()
    return shop


def test_orders_are_delivered_by_the_web_process_alone(shop: Shop) -> None:
    assert not shop.pids("pizzeria relay")
    assert not shop.pids("pizzeria worker")
    said = shop.ask("simulate", "20", "--json")
    report = json.loads(said.out)
    assert (said.code, report["delivered"], report["lost"], report["duplicated"]) == (0, 20, 0, 0)


@pytest.mark.parametrize("flow", FLOWS)
def test_every_order_writes_the_same_events_as_with_a_broker_and_workers(shop: Shop, flow: str) -> None:
    assert told(shop, flow) == FLOWS[flow].story


def test_after_that_every_invariant_holds(shop: Shop) -> None:
    shop.check()
