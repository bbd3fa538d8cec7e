"""An order's history: what its events alone make of it, and whether the live table says the same."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import msgspec
from sqlalchemy import Connection, text

from domain import orders
from domain.events import OrderCancelled, OrderEvent, OrderItem, OrderPlaced, catalogue
from domain.kernel import log
from domain.kernel.event import Event, Recorded
from domain.orders import TRANSITIONS, Order

PAGE = 500
_PERSONAL = frozenset({"name", "phone", "email", "address"})


class BrokenHistoryError(Exception):
    """An order's events do not follow from one another."""


class Rehydrated(msgspec.Struct, frozen=True, kw_only=True):
    """An order as its events tell it; each field is the one of ``Order`` that has its name."""

    id: str
    customer_id: str
    status: str
    fulfilment: str
    payment: str
    name: str | None
    phone: str | None
    email: str | None
    address: str | None
    items: tuple[OrderItem, ...]
    total: Decimal
    currency: str
    placed_at: datetime
    estimated_ready_time: datetime
    estimated_delivery_time: datetime
    language: str | None = None
    ready_at: datetime | None = None
    delivered_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancelled_reason: str | None = None


def fold(events: Iterable[Event]) -> Rehydrated:
    """Make an order of its stream's events. Raises BrokenHistoryError where they take a step that is not legal."""
    order: Rehydrated | None = None
    for event in events:
        order = _step(order, event)
    if order is None:
        raise BrokenHistoryError("there are no events")
    return order


def _step(order: Rehydrated | None, event: Event) -> Rehydrated:
    before = order.status if order else None
    if not isinstance(event, OrderEvent) or before not in (TRANSITIONS[type(event)][0] or {None}):
        raise BrokenHistoryError(f"{type(event).__name__} came after {before or 'nothing'}")
    if order is None:
        return _placed(event)
    _, status = TRANSITIONS[type(event)]
    changed: dict[str, object] = {"status": status}
    if f"{status}_at" in Rehydrated.__struct_fields__:
        changed[f"{status}_at"] = getattr(event, f"{status}_at")
    if isinstance(event, OrderCancelled):
        changed["cancelled_reason"] = event.reason
    return msgspec.structs.replace(order, **changed)


def _placed(event: OrderEvent) -> Rehydrated:
    if not isinstance(event, OrderPlaced):  # the only one that comes after nothing
        raise TypeError(type(event).__name__)
    return Rehydrated(
        id=event.order_id,
        customer_id=event.customer_id,
        status="placed",
        fulfilment=event.fulfilment,
        payment=event.payment,
        name=event.customer_name,
        phone=event.customer_phone,
        email=event.customer_email,
        address=event.delivery_address,
        items=event.items,
        total=event.total_amount,
        currency=event.currency,
        placed_at=event.placed_at,
        estimated_ready_time=event.estimated_ready_time,
        estimated_delivery_time=event.estimated_delivery_time,
        language=event.language,
    )


@dataclass(frozen=True, slots=True)
class Compared:
    """Some orders whose events were folded: their number, and a sentence about each that is not as its events say."""

    orders: int
    differences: Sequence[str]


def count(connection: Connection) -> int:
    """Count the orders that there are."""
    return int(connection.execute(text("SELECT count(*) FROM orders")).scalar_one())


def compare(connection: Connection) -> Iterator[Compared]:
    """Fold every order's events and compare with the live table, some hundred orders at a time."""
    after = ""
    while page := orders.page(connection, after, PAGE):
        histories = log.read_streams(connection, catalogue, [f"order-{order.id}" for order in page])
        found = [_compare(order, histories.get(f"order-{order.id}", [])) for order in page]
        yield Compared(len(page), [sentence for sentence in found if sentence])
        after = page[-1].id
    lost = connection.execute(
        text(
            "SELECT stream FROM events WHERE type = 'OrderPlaced'"
            " AND NOT EXISTS (SELECT FROM orders WHERE id = substr(stream, 7)) ORDER BY stream"
        )
    ).scalars()
    yield Compared(0, [f"{stream} has events, and there is no such order" for stream in lost])


def _compare(order: Order, history: Sequence[Recorded[Event] | Exception]) -> str | None:
    """Say what differs. What was personal may be missing in the log: erased, or never told by an old version."""
    try:
        told = fold(_readable(history))
    except BrokenHistoryError as broken:
        return f"{order.id}: {broken}"
    order = replace(order, items=orders.without_notes(order.items))
    told = msgspec.structs.replace(told, items=orders.without_notes(told.items))
    different = [
        f"{name} is {getattr(order, name)!r} and its events say {getattr(told, name)!r}"
        for name in Rehydrated.__struct_fields__
        if name not in _PERSONAL and getattr(order, name) != getattr(told, name)
    ]
    # In words without the value: what is personal is not for a terminal or a log.
    different += [
        f"{name} is not what its events say"
        for name in sorted(_PERSONAL)
        if getattr(order, name) != getattr(told, name) and not (told.name is None and getattr(told, name) is None)
    ]
    return f"{order.id}: {', '.join(different)}" if different else None


def _readable(history: Iterable[Recorded[Event] | Exception]) -> Iterator[Event]:
    for entry in history:
        if isinstance(entry, Exception):
            raise BrokenHistoryError(f"an event cannot be read: {entry}")
        yield entry.event
