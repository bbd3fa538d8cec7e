"""Where integration events are published by configuration: a shop that publishes, and what must have arrived."""

import json
from collections.abc import Callable, Iterator, Sequence

import pytest
from cloudevents.core.base import BaseCloudEvent

from domain import integration
from tasks.bus import subscriptions
from tasks.gateways import exchange, kafka, sns, stream, target
from tasks.registry import registry
from tests.integration.conftest import Shop

TARGETS = ("exchange", "stream", "kafka", "sns")
NOWHERE = "127.0.0.1:9"
HAPPY = [name for name in integration.NAMES if name != "order.cancelled"]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Connections of this test's own, and targets that nobody has left alone yet."""
    monkeypatch.setattr(target, "FIRST_PAUSE", 0.01)
    for name in TARGETS:
        module = __import__(f"tasks.handlers.{name}", fromlist=["_target"])
        module._target._failures, module._target._next = 0, 0.0
    yield
    exchange._hang_up()
    if stream._client.cache_info().currsize:
        stream._client().close()
    for cached in (stream._client, kafka._producer, sns._client):
        cached.cache_clear()


@pytest.fixture
def publish_to(shop: Shop, configure: Callable[..., None]) -> Callable[..., Shop]:
    """Give a shop that publishes by these settings, and was migrated with them."""

    def set_up(**values: object) -> Shop:
        configure(**{f"events_{name}": value for name, value in values.items()})
        with shop.database.engine.begin() as connection:
            subscriptions.write(connection, registry())
        return Shop(shop.url, registry())

    return set_up


def again(shop: Shop, handler: str) -> set[str]:
    """Let what waits be due, and deliver it; gives the states in which a target's deliveries are then."""
    shop.execute("UPDATE deliveries SET not_before = now() WHERE state = 'pending'")
    shop.drain()
    return {row.state for row in shop.deliveries(handler)}


def assert_told(got: Sequence[BaseCloudEvent], shop: Shop, order_id: str) -> None:
    """See that all steps of an order arrived, with the ids of our own events and nothing personal."""
    assert sorted(event.get_type().removeprefix(integration.PREFIX) for event in got) == sorted(HAPPY)
    ids = {str(row.id) for row in shop.rows("SELECT id FROM events WHERE stream = :s", s=f"order-{order_id}")}
    assert {event.get_id() for event in got} == ids
    assert {(event.get_subject(), event.get_source()) for event in got} == {
        (f"order/{order_id}", "mario-pizzeria/orders")
    }
    data = [event.get_data() for event in got]
    assert {each["orderId"] for each in data} == {order_id}  # type: ignore[index, call-overload]
    assert not any(secret in json.dumps(data) for secret in ("Lovelace", "5550100001", "example.com", "Analytical"))


def waits(shop: Shop, handler: str) -> bool:
    """Tell whether every event waits for a target, uncounted, and none is parked."""
    found = shop.deliveries(handler)
    assert {(row.state, row.attempts) for row in found} <= {("pending", 0), ("done", 0)}
    return len(found) == len(HAPPY) and "pending" in {row.state for row in found}
