"""What customers and suppliers are told: the texts, and a row for every message with its state."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel.numbers import format_currency
from sqlalchemy import Connection, text

from domain import procurement
from domain.events import (
    MessageFailed,
    MessageRequeued,
    OrderCancelled,
    OrderDelivered,
    OrderEvent,
    OrderOutForDelivery,
    OrderPlaced,
    OrderReady,
    PurchaseEvent,
    SupplierReminded,
)
from domain.inventory import StockError
from domain.kernel import clock
from domain.kernel.event import Event
from domain.kernel.unit_of_work import UnitOfWork
from domain.orders import code_of
from domain.settings import Settings

AGAIN_SECONDS = 30


class MessageError(Exception):
    """A message cannot be sent again."""


class UnknownMessageError(MessageError):
    """There is no such message."""


class TooSoonError(MessageError):
    """The message was sent again a moment ago."""


class TooLateError(MessageError):
    """What the message asks for has come already."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message, to a customer about an order or to a supplier about a purchase.

    ``recipient`` is a number in E.164 form or an e-mail address.
    """

    key: str
    channel: str
    about: str
    order_id: str | None
    customer_id: str | None
    recipient: str
    body: str
    subject: str | None = None
    purchase_id: int | None = None


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message and what became of it."""

    key: str
    order_id: str | None
    purchase_id: int | None
    channel: str
    about: str
    recipient: str
    subject: str | None
    body: str
    state: str
    attempts: int
    answer: str | None
    created_at: datetime
    sent_at: datetime | None


class Texts:
    """The texts, in the shop's currency and time zone. Plain text: nothing in them is ever read as markup."""

    def __init__(self, settings: Settings) -> None:
        self._zone = ZoneInfo(settings.timezone)

    def sms(self, event: OrderEvent) -> str:
        """Give the text for an event."""
        return _SMS[type(event)](self, event)

    def confirmation(self, placed: OrderPlaced) -> tuple[str, str]:
        """Give subject and body of the mail that confirms an order."""
        lines = [
            f"  {item.quantity} x {item.name}, {item.size}"
            + (f", with {', '.join(item.toppings)}" if item.toppings else "")
            + (f" ({item.note})" if item.note else "")
            + f"  {_money(item.unit_price * item.quantity, placed.currency)}"
            for item in placed.items
        ]
        where = f"Delivery to: {placed.delivery_address}" if placed.fulfilment == "delivery" else "You collect it."
        body = "\n".join(
            [
                f"Hello {placed.customer_name or 'there'},",
                "",
                f"thank you for order {code_of(placed.order_id)}:",
                "",
                *lines,
                "",
                f"Total: {_money(placed.total_amount, placed.currency)}, to be paid in {placed.payment}.",
                f"Estimated time: {self._time(placed.estimated_delivery_time)}.",
                where,
                "",
                "Mario's Pizzeria",
            ]
        )
        return f"Order {code_of(placed.order_id)} confirmed", body

    def cancellation(self, cancelled: OrderCancelled) -> tuple[str, str]:
        """Give subject and body of the mail that tells of a cancelled order."""
        body = (
            f"Hello {cancelled.customer_name or 'there'},\n\norder {code_of(cancelled.order_id)} was cancelled:"
            f" {cancelled.reason}\nYou pay nothing.\n\nMario's Pizzeria"
        )
        return f"Order {code_of(cancelled.order_id)} cancelled", body

    def purchase(self, event: PurchaseEvent) -> tuple[str, str]:
        """Give subject and body of the mail by which an ingredient is bought."""
        what = f"{event.quantity:,} {event.unit} of {event.ingredient_name.lower()}"
        days = event.supplier_info.lead_days
        body = (
            f"Hello {event.supplier_info.name},\n\nplease send us {what}, as always within"
            f" {days} {'day' if days == 1 else 'days'}.\nThis is our purchase {event.purchase_id}.\n\nMario's Pizzeria"
        )
        return f"Purchase {event.purchase_id}: {what}", body

    def _placed(self, event: OrderPlaced) -> str:
        what = "delivery" if event.fulfilment == "delivery" else "pickup"
        lines = ", ".join(f"{item.quantity} x {item.name}" for item in event.items)
        return (
            f"Order {code_of(event.order_id)} confirmed: {lines}. Total {_money(event.total_amount, event.currency)}."
            f" Estimated {what}: {self._time(event.estimated_delivery_time)}. We tell you when your pizza is ready."
        )

    def _ready(self, event: OrderReady) -> str:
        if event.fulfilment == "pickup":
            return f"Order {code_of(event.order_id)} is ready! {event.pickup_instructions}"
        return f"Order {code_of(event.order_id)} is ready and leaves for your door soon."

    def _out(self, event: OrderOutForDelivery) -> str:
        return (
            f"Order {code_of(event.order_id)} is on its way with {event.driver_name},"
            f" at your door about {self._time(event.estimated_delivery_time)}."
        )

    def _delivered(self, event: OrderDelivered) -> str:
        return f"Order {code_of(event.order_id)} was handed over. Buon appetito!"

    def _cancelled(self, event: OrderCancelled) -> str:
        return f"Order {code_of(event.order_id)} was cancelled: {event.reason} You pay nothing."

    def _time(self, at: datetime) -> str:
        return at.astimezone(self._zone).strftime("%H:%M")


@lru_cache(10_000)  # a tenth of a handler's time otherwise, and prices come again
def _money(amount: Decimal, currency: str) -> str:
    return format_currency(amount, currency, locale="en_US")


_SMS: Mapping[type[OrderEvent], Callable[[Texts, Any], str]] = {
    OrderPlaced: Texts._placed,
    OrderReady: Texts._ready,
    OrderOutForDelivery: Texts._out,
    OrderDelivered: Texts._delivered,
    OrderCancelled: Texts._cancelled,
}


_AGAIN = """(key) DO UPDATE SET state = excluded.state, attempts = excluded.attempts, answer = excluded.answer,
    sent_at = excluded.sent_at"""


def write_down(work: UnitOfWork, outcomes: Sequence[tuple[Message, str, int, str | None]]) -> None:
    """Write what became of messages: each with its state, the number of attempts and the provider's answer."""
    now = clock.now()
    rows = [
        {name: getattr(message, name) for name in Message.__dataclass_fields__}
        | {
            "state": state,
            "attempts": attempts,
            "answer": answer,
            "created_at": now,
            "sent_at": now if state == "sent" else None,
        }
        for message, state, attempts, answer in sorted(outcomes, key=lambda outcome: outcome[0].key)
    ]
    work.insert("messages", rows, _AGAIN)


def given_up(work: UnitOfWork, keys: Iterable[str]) -> set[str]:
    """Tell which of these messages were given up before, and told in another way then."""
    streams = [f"{MessageFailed.stream}-{key}" for key in keys]
    found = work.column(
        "SELECT data ->> 'message_key' FROM events WHERE stream = ANY(:streams) AND type = :type",
        streams=streams,
        type=MessageFailed.__name__,
    )
    return set(found)


def request_again(work: UnitOfWork, key: str, requested_by: str) -> str | None:
    """Have a message sent once more, as a message of its own; gives its order's id, if it is about one.

    Raises UnknownMessageError, TooSoonError where it was asked for a moment ago (a double click is one wish), or
    TooLateError for one about a purchase that has come.
    """
    row = work.run("SELECT * FROM messages WHERE key = :key FOR UPDATE", key=key).one_or_none()
    if row is None:
        raise UnknownMessageError("There is no such message.")
    _refuse_at_once(work, MessageRequeued if row.purchase_id is None else SupplierReminded, row.purchase_id or key)
    if row.purchase_id is not None:
        _remind(work, row.purchase_id, requested_by)
        return None
    work.record(
        MessageRequeued(
            message_key=row.key,
            order_id=row.order_id,
            customer_id=row.customer_id,
            customer_phone=row.recipient if row.channel == "sms" else None,
            customer_email=row.recipient if row.channel == "email" else None,
            about=row.about,
            subject=row.subject,
            body=row.body,
            channel=row.channel,
            requested_by=requested_by,
        )
    )
    return str(row.order_id)


def _refuse_at_once(work: UnitOfWork, wish: type[Event], about: object) -> None:
    lately = work.column(
        "SELECT 1 FROM events WHERE stream = :stream AND type = :type"
        " AND recorded_at > now() - make_interval(secs => :seconds)",
        stream=f"{wish.stream}-{about}",
        type=wish.__name__,
        seconds=AGAIN_SECONDS,
    )
    if lately:
        raise TooSoonError(f"It was sent again just now; after {AGAIN_SECONDS} seconds it can be once more.")


def _remind(work: UnitOfWork, purchase_id: int, requested_by: str) -> None:
    try:
        procurement.remind(work, purchase_id, requested_by)
    except StockError as error:
        raise TooLateError(str(error)) from None


def recent(connection: Connection, *, order_id: str | None = None, limit: int = 100) -> list[MessageRow]:
    """Read the newest messages, of one order if one is given."""
    columns = ", ".join(MessageRow.__dataclass_fields__)
    which = "" if order_id is None else "WHERE order_id = :order"
    rows = connection.execute(
        text(f"SELECT {columns} FROM messages {which} ORDER BY created_at DESC, key LIMIT :limit"),
        {"order": order_id, "limit": limit},
    )
    return [MessageRow(*row) for row in rows]
