"""The catalogue of domain events. A breaking change is a new version with an upcaster here, never an edit."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar

import msgspec

from domain.kernel.event import Catalogue, Data, Event

catalogue = Catalogue()

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its zone: one without could mean any of them, and is refused."""


class OrderItem(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an order: so many pizzas of a kind.

    The ``note``, which people type, is in the order's row and in old events only: a new one would keep it for good.
    """

    pizza: str
    name: str
    size: str
    quantity: int
    unit_price: Decimal
    toppings: tuple[str, ...] = ()
    note: str | None = None
    size_name: str | None = None
    topping_names: tuple[str, ...] | None = None


class MissingIngredient(msgspec.Struct, frozen=True, kw_only=True):
    """What an order needed and the store had not; quantities in the ingredient's unit."""

    ingredient_id: str
    ingredient_name: str
    required: int
    available: int


class SupplierInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to buy from."""

    supplier_id: str
    name: str
    email: str
    phone: str
    lead_days: int


class OrderEvent(Event, frozen=True, kw_only=True):
    """An event in an order's own stream, with the contact of its customer, and the ``language`` they read (``it``)."""

    stream: ClassVar[str] = "order"
    key: ClassVar[str] = "order_id"
    continues: ClassVar[bool] = True
    personal: ClassVar[frozenset[str]] = frozenset({"customer_name", "customer_phone", "customer_email"})

    order_id: str
    customer_id: str
    customer_name: str | None = None
    customer_phone: str | None = None
    customer_email: str | None = None
    language: str | None = None


@catalogue.register
class OrderPlaced(OrderEvent, frozen=True, kw_only=True):
    """A customer has ordered.

    Money is in ``currency``; the estimated delivery time is when the order is at the door, or ready for pickup.
    """

    version: ClassVar[int] = 2
    personal: ClassVar[frozenset[str]] = OrderEvent.personal | {"delivery_address"}

    items: tuple[OrderItem, ...]
    total_amount: Decimal
    currency: str
    fulfilment: str
    payment: str
    delivery_address: str | None = None
    estimated_ready_time: Moment
    estimated_delivery_time: Moment
    placed_at: Moment
    returning_customer: bool = False


@catalogue.upcasts("OrderPlaced", 1)
def _order_placed_2(data: Data) -> Data:
    """Version 1 knew deliveries paid in cash only, and one estimate."""
    estimate = data["estimated_delivery_time"]
    added = {
        "currency": "USD",
        "fulfilment": "delivery",
        "payment": "cash",
        "estimated_ready_time": estimate,
        "placed_at": estimate,
    }
    return added | data


@catalogue.register
class OrderCookingStarted(OrderEvent, frozen=True, kw_only=True):
    """The order's pizzas are in the oven."""

    load_id: str
    estimated_ready_time: Moment


@catalogue.register
class OrderReady(OrderEvent, frozen=True, kw_only=True):
    """Every pizza of the order is baked. ``preparation_time`` is in seconds, from the order to the pass."""

    fulfilment: str
    preparation_time: int
    estimated_preparation_time: int
    ready_at: Moment
    pickup_instructions: str | None = None


@catalogue.register
class OrderOutForDelivery(OrderEvent, frozen=True, kw_only=True):
    """A driver has left with the order."""

    driver_name: str
    estimated_delivery_time: Moment


@catalogue.register
class OrderDelivered(OrderEvent, frozen=True, kw_only=True):
    """The customer has the order: at the door, or over the counter for a pickup."""

    fulfilment: str
    delivered_at: Moment
    payment: str | None = None


@catalogue.register
class OrderCancelled(OrderEvent, frozen=True, kw_only=True):
    """The order will not be made. ``reason`` is a sentence, ``reason_code`` what it says, for other languages."""

    reason: str
    cancelled_by: str
    cancelled_at: Moment
    payment: str | None = None
    reason_code: str | None = None
    missing_ingredients: tuple[str, ...] | None = None


@catalogue.register
class StockReserved(Event, frozen=True, kw_only=True):
    """The store has put by what the order needs: ingredient id → quantity in its unit."""

    stream: ClassVar[str] = "reservation"
    key: ClassVar[str] = "order_id"

    order_id: str
    ingredients: dict[str, int]


@catalogue.register
class StockReservationFailed(Event, frozen=True, kw_only=True):
    """The store lacks something the order needs; nothing was put by."""

    stream: ClassVar[str] = "reservation"
    key: ClassVar[str] = "order_id"

    order_id: str
    missing: tuple[MissingIngredient, ...]


class PaymentEvent(Event, frozen=True, kw_only=True):
    """Something about the payment of an order by card; the amount is the order's total, in ``currency``."""

    stream: ClassVar[str] = "payment"
    key: ClassVar[str] = "order_id"

    order_id: str
    amount: Decimal
    currency: str


@catalogue.register
class PaymentProcessed(PaymentEvent, frozen=True, kw_only=True):
    """The amount is held on the customer's card."""


@catalogue.register
class PaymentDeclined(PaymentEvent, frozen=True, kw_only=True):
    """The card was refused, or nobody could be asked; ``reason`` is a sentence for the customer, ``outcome`` which."""

    reason: str
    outcome: str | None = None


@catalogue.register
class PaymentCaptured(PaymentEvent, frozen=True, kw_only=True):
    """The amount that was held has become ours."""


@catalogue.register
class PaymentVoided(PaymentEvent, frozen=True, kw_only=True):
    """The amount that was held is the customer's again."""


@catalogue.register
class PaymentRefunded(PaymentEvent, frozen=True, kw_only=True):
    """The amount that was ours is the customer's again."""


@catalogue.register
class InventoryLow(Event, frozen=True, kw_only=True):
    """An ingredient's stock has crossed its threshold, or an order found too little; quantities in its unit."""

    stream: ClassVar[str] = "ingredient"
    key: ClassVar[str] = "ingredient_id"

    ingredient_id: str
    ingredient_name: str
    current_quantity: int
    minimum_threshold: int
    supplier_info: SupplierInfo


class PurchaseEvent(Event, frozen=True, kw_only=True):
    """An event in a purchase's own stream: so much of an ingredient, in its unit, from its supplier."""

    stream: ClassVar[str] = "purchase"
    key: ClassVar[str] = "purchase_id"

    purchase_id: int
    ingredient_id: str
    ingredient_name: str
    quantity: int
    unit: str
    supplier_info: SupplierInfo


@catalogue.register
class PurchaseOrdered(PurchaseEvent, frozen=True, kw_only=True):
    """The pizzeria has ordered an ingredient that was low."""


@catalogue.register
class SupplierReminded(PurchaseEvent, frozen=True, kw_only=True):
    """Staff asked for the mail about an open purchase to be sent once more."""

    requested_by: str


@catalogue.register
class StockReceived(Event, frozen=True, kw_only=True):
    """A purchase has come and is in the store; quantities in the ingredient's unit."""

    stream: ClassVar[str] = "ingredient"
    key: ClassVar[str] = "ingredient_id"

    ingredient_id: str
    ingredient_name: str
    purchase_id: int
    received_quantity: int
    current_quantity: int
    received_by: str


@catalogue.register
class OvenLoadFired(Event, frozen=True, kw_only=True):
    """A load of orders has gone into the oven, in so many parts that bake at the same time."""

    stream: ClassVar[str] = "load"
    key: ClassVar[str] = "load_id"

    load_id: str
    parts: int
    due_at: Moment


@catalogue.register
class PointsTransferred(Event, frozen=True, kw_only=True):
    """A customer has given loyalty points to another. What an order earns is told by its OrderDelivered."""

    stream: ClassVar[str] = "loyalty"
    key: ClassVar[str] = "transfer_id"

    transfer_id: str
    from_customer_id: str
    to_customer_id: str
    points: int
    transferred_by: str
    transferred_at: Moment


class MessageEvent(Event, frozen=True, kw_only=True):
    """Something about a message to a customer, with all it takes to send it another way, or again."""

    stream: ClassVar[str] = "message"
    key: ClassVar[str] = "message_key"
    personal: ClassVar[frozenset[str]] = frozenset({"customer_phone", "customer_email", "subject", "body"})

    message_key: str
    order_id: str
    customer_id: str
    customer_phone: str | None = None
    customer_email: str | None = None
    channel: str
    about: str
    subject: str | None = None
    body: str | None = None


@catalogue.register
class MessageFailed(MessageEvent, frozen=True, kw_only=True):
    """A message could not be sent and was given up."""


@catalogue.register
class MessageRequeued(MessageEvent, frozen=True, kw_only=True):
    """Staff asked for a message to be sent once more."""

    requested_by: str
