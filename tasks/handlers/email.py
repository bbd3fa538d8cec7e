"""Mail to customers and suppliers."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from domain.events import (
    MessageEvent,
    MessageFailed,
    MessageRequeued,
    OrderCancelled,
    OrderEvent,
    OrderPlaced,
    PurchaseEvent,
    PurchaseOrdered,
    SupplierReminded,
)
from domain.kernel.event import Recorded
from domain.kernel.unit_of_work import UnitOfWork
from domain.messages import Message
from domain.settings import settings
from domain.texts import Texts
from tasks.bus.registry import Answer, Call, calls, holds_back, settles
from tasks.bus.retry import Retry
from tasks.gateways import email
from tasks.gateways.outcome import needless, write_down

RETRY = Retry(times=8, first=1, cap=30)


@calls(OrderPlaced, OrderCancelled, MessageFailed, MessageRequeued, PurchaseOrdered, SupplierReminded, retry=RETRY)
def send(event: OrderEvent | MessageEvent | PurchaseEvent, call: Call) -> str | None:
    """Send the mail that tells of an event, unless the customer gave no address."""
    call.draft = message_for(event, call.key)
    return email.send(call.draft, call.key) if call.draft else None


@holds_back
def hold_back(due: Sequence[tuple[Recorded[Any], Call]], connection: Connection) -> dict[str, str]:
    """Hold back what the order has overtaken, and what staff have aborted."""
    return needless("email", due, connection)


@settles
def settle(answers: Sequence[Answer], shop: UnitOfWork) -> None:
    """Keep what became of each mail."""
    write_down(shop, answers, message_for)


def message_for(event: object, key: str) -> Message | None:
    """Make the mail for an event, or None where there is nobody to send it to."""
    if isinstance(event, PurchaseEvent):
        return _to_supplier(event, key)
    if isinstance(event, MessageRequeued) and event.channel != "email":
        return None
    if not isinstance(event, OrderEvent | MessageEvent) or not event.customer_email:
        return None
    about = event.about if isinstance(event, MessageEvent) else type(event).__name__
    if isinstance(event, MessageEvent):
        subject, body = event.subject or "", event.body or ""
    else:
        subject, body = Texts(settings()).mail(event)
    return Message(key, "email", about, event.order_id, event.customer_id, event.customer_email, body, subject)


def _to_supplier(event: PurchaseEvent, key: str) -> Message:
    subject, body = Texts(settings()).purchase(event)
    return Message(
        key,
        "email",
        PurchaseOrdered.__name__,
        None,
        None,
        event.supplier_info.email,
        body,
        subject,
        purchase_id=event.purchase_id,
    )
