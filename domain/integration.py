"""Integration events: the few domain events that leave the house, each translated by hand, and with nothing personal.

A domain event is ours to change; an integration event is a promise to others, with a version of its own in its
``dataschema``. What is not named here never leaves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from domain.events import (
    OrderCancelled,
    OrderCookingStarted,
    OrderDelivered,
    OrderEvent,
    OrderOutForDelivery,
    OrderPlaced,
    OrderReady,
)

SOURCE = "mario-pizzeria/orders"
PREFIX = "com.mariopizzeria."


class _Told(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What every integration event about an order tells."""

    order_id: str
    customer_id: str


class ItemTold(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """So many pizzas of a kind; money as a decimal string."""

    pizza: str
    name: str
    size: str
    toppings: tuple[str, ...]
    quantity: int
    unit_price: Decimal


class PlacedTold(_Told, frozen=True, kw_only=True, rename="camel"):
    """A customer has ordered."""

    total_amount: Decimal
    currency: str
    fulfilment: str
    items: tuple[ItemTold, ...]
    estimated_delivery: datetime


class CookingTold(_Told, frozen=True, kw_only=True, rename="camel"):
    """The order is in the oven."""

    estimated_ready: datetime


class ReadyTold(_Told, frozen=True, kw_only=True, rename="camel"):
    """The order is baked; ``preparation_time`` is in seconds."""

    fulfilment: str
    preparation_time: int
    ready_at: datetime


class OutForDeliveryTold(_Told, frozen=True, kw_only=True, rename="camel"):
    """The order is on its way."""

    estimated_delivery: datetime


class DeliveredTold(_Told, frozen=True, kw_only=True, rename="camel"):
    """The customer has the order."""

    fulfilment: str
    delivered_at: datetime


class CancelledTold(_Told, frozen=True, kw_only=True, rename="camel"):
    """The order will not be made."""

    reason: str
    cancelled_at: datetime


@dataclass(frozen=True, slots=True)
class Translation:
    """How a domain event becomes an integration event: its name, its version, and what it tells of it."""

    name: str
    version: int
    tells: type[_Told]
    translate: Callable[[Any], _Told]

    @property
    def type(self) -> str:
        """The CloudEvents type."""
        return PREFIX + self.name

    @property
    def dataschema(self) -> str:
        """The CloudEvents dataschema: the name and version of what is told."""
        return f"urn:mariopizzeria:{self.name}:{self.version}"


def _placed(event: OrderPlaced) -> PlacedTold:
    return PlacedTold(
        order_id=event.order_id,
        customer_id=event.customer_id,
        total_amount=event.total_amount,
        currency=event.currency,
        fulfilment=event.fulfilment,
        items=tuple(
            ItemTold(
                pizza=item.pizza,
                name=item.name,
                size=item.size,
                toppings=item.toppings,
                quantity=item.quantity,
                unit_price=item.unit_price,
            )
            for item in event.items
        ),
        estimated_delivery=event.estimated_delivery_time,
    )


def _cooking(event: OrderCookingStarted) -> CookingTold:
    return CookingTold(
        order_id=event.order_id, customer_id=event.customer_id, estimated_ready=event.estimated_ready_time
    )


def _ready(event: OrderReady) -> ReadyTold:
    return ReadyTold(
        order_id=event.order_id,
        customer_id=event.customer_id,
        fulfilment=event.fulfilment,
        preparation_time=event.preparation_time,
        ready_at=event.ready_at,
    )


def _out_for_delivery(event: OrderOutForDelivery) -> OutForDeliveryTold:
    return OutForDeliveryTold(
        order_id=event.order_id, customer_id=event.customer_id, estimated_delivery=event.estimated_delivery_time
    )


def _delivered(event: OrderDelivered) -> DeliveredTold:
    return DeliveredTold(
        order_id=event.order_id,
        customer_id=event.customer_id,
        fulfilment=event.fulfilment,
        delivered_at=event.delivered_at,
    )


def _cancelled(event: OrderCancelled) -> CancelledTold:
    return CancelledTold(
        order_id=event.order_id, customer_id=event.customer_id, reason=event.reason, cancelled_at=event.cancelled_at
    )


TRANSLATIONS: Mapping[type[OrderEvent], Translation] = {
    OrderPlaced: Translation("order.placed", 1, PlacedTold, _placed),
    OrderCookingStarted: Translation("order.cooking", 1, CookingTold, _cooking),
    OrderReady: Translation("order.ready", 1, ReadyTold, _ready),
    OrderOutForDelivery: Translation("order.out-for-delivery", 1, OutForDeliveryTold, _out_for_delivery),
    OrderDelivered: Translation("order.delivered", 1, DeliveredTold, _delivered),
    OrderCancelled: Translation("order.cancelled", 1, CancelledTold, _cancelled),
}
NAMES = tuple(translation.name for translation in TRANSLATIONS.values())


@dataclass(frozen=True, slots=True)
class IntegrationEvent:
    """An event as others get it: the attributes of a CloudEvent, and its data as JSON knows it."""

    id: UUID
    at: datetime
    name: str
    type: str
    subject: str
    dataschema: str
    data: Mapping[str, Any]


def translate(event: OrderEvent, event_id: UUID) -> IntegrationEvent:
    """Translate an event that leaves the house; its id stays that of the domain event. Raises KeyError for another."""
    how = TRANSLATIONS[type(event)]
    told = msgspec.to_builtins(how.translate(event))
    subject = f"order/{event.order_id}"
    return IntegrationEvent(event_id, happened_at(event_id), how.name, how.type, subject, how.dataschema, told)


def happened_at(event_id: UUID) -> datetime:
    """Tell when an event happened, by its id."""
    return datetime.fromtimestamp((event_id.int >> 80) / 1000, UTC)  # which a UUIDv7 begins with


def schema(translation: Translation) -> dict[str, Any]:
    """Give the JSON Schema of what an integration event tells."""
    return msgspec.json.schema(translation.tells)
