"""The buses without database and broker, and handlers run on them with fakes."""

import asyncio
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.events import OrderPlaced, OrderReady
from tasks.bus.inprocess import AsyncEventBus, EventBus

pytestmark = pytest.mark.unit

AT = datetime(2026, 11, 20, 19, 30, tzinfo=UTC)


def placed() -> OrderPlaced:
    return OrderPlaced(
        order_id="order_123",
        customer_id="cust_456",
        items=(),
        total_amount=Decimal("20.00"),
        currency="USD",
        fulfilment="pickup",
        payment="cash",
        estimated_ready_time=AT,
        estimated_delivery_time=AT,
        placed_at=AT,
    )


def test_a_published_event_reaches_every_subscriber_of_its_type_once_and_no_other() -> None:
    bus = EventBus()
    heard: dict[str, list[object]] = {"kitchen": [], "sms": [], "analytics": [], "ready": []}
    for name in ("kitchen", "sms", "analytics"):
        bus.subscribe(OrderPlaced, heard[name].append)
    bus.subscribe(OrderReady, heard["ready"].append)
    event = placed()
    bus.publish(event)
    assert heard == {"kitchen": [event], "sms": [event], "analytics": [event], "ready": []}


def test_a_subscriber_that_fails_keeps_no_other_from_its_turn_and_is_not_swallowed() -> None:
    bus = EventBus()
    heard: list[OrderPlaced] = []

    def fail(_: OrderPlaced) -> None:
        raise RuntimeError("Handler failed")

    bus.subscribe(OrderPlaced, fail)
    bus.subscribe(OrderPlaced, heard.append)
    with pytest.raises(ExceptionGroup) as failed:
        bus.publish(placed())
    assert [str(error) for error in failed.value.exceptions] == ["Handler failed"]
    assert len(heard) == 1


def test_an_event_without_subscribers_is_no_error() -> None:
    EventBus().publish(placed())


@pytest.mark.alone
def test_two_asynchronous_handlers_of_one_second_take_one_second_together() -> None:
    bus = AsyncEventBus()
    done: list[str] = []

    async def slow(event: OrderPlaced) -> None:
        await asyncio.sleep(1)
        done.append(event.order_id)

    bus.subscribe(OrderPlaced, slow)
    bus.subscribe(OrderPlaced, slow)
    began = time.monotonic()
    asyncio.run(bus.publish(placed()))
    assert time.monotonic() - began < 1.6
    assert done == ["order_123"] * 2


def test_an_asynchronous_handler_that_fails_leaves_the_others_alone() -> None:
    bus = AsyncEventBus()
    heard: list[str] = []

    async def fail(_: OrderPlaced) -> None:
        raise RuntimeError("Handler failed")

    async def hear(event: OrderPlaced) -> None:
        heard.append(event.order_id)

    bus.subscribe(OrderPlaced, fail)
    bus.subscribe(OrderPlaced, hear)
    with pytest.raises(ExceptionGroup):
        asyncio.run(bus.publish(placed()))
    assert heard == ["order_123"]
