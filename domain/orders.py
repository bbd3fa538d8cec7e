"""Orders: what they are, their states and who may change them."""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, text

from domain.events import (
    OrderCancelled,
    OrderCookingStarted,
    OrderDelivered,
    OrderEvent,
    OrderItem,
    OrderOutForDelivery,
    OrderPlaced,
    OrderReady,
)
from domain.kernel import clock
from domain.kernel.unit_of_work import UnitOfWork

E = TypeVar("E", bound=OrderEvent)

# What an order may become: event → the states it may come from, the state it leads to.
TRANSITIONS: Mapping[type[OrderEvent], tuple[frozenset[str], str]] = {
    OrderPlaced: (frozenset(), "placed"),
    OrderCookingStarted: (frozenset({"placed"}), "cooking"),
    OrderReady: (frozenset({"cooking"}), "ready"),
    OrderOutForDelivery: (frozenset({"ready"}), "out_for_delivery"),
    OrderDelivered: (frozenset({"ready", "out_for_delivery"}), "delivered"),
    OrderCancelled: (frozenset({"placed"}), "cancelled"),
}
TERMINAL = frozenset({"delivered", "cancelled"})
TIMES = tuple(f"{status}_at" for _, status in TRANSITIONS.values())
"""The columns that say when an order reached each of its states."""


class OrderError(Exception):
    """An order cannot be what it is asked to be."""


class UnknownOrderError(OrderError):
    """There is no such order."""


class TooLateError(OrderError):
    """The order has gone too far for this change."""


class UntimelyError(OrderError):
    """What is told of an order cannot be true now."""


REASON_CODES = frozenset({"customer", "staff", "unable", "sold_out", "card_declined", "card_unanswered"})
"""Why an order may be cancelled; only the staff's own words are told as they were typed, in whatever language."""

ID_PATTERN = "(?:[0-9a-f]{8})?[0-9a-f]{32}"
"""An order's id as a regular expression; those of the first days bear no time."""

_RANDOM = 32


def new_id(at: datetime) -> str:
    """Make the id of an order placed at a time: that in seconds since 1970, then 128 random bits, all in hexadecimal.

    Whoever knows the id may see the order, so nobody must be able to guess it. The time keeps orders of one evening
    together in every index: with random ids alone, each touches a dozen pages of its own, the more the older the shop.
    """
    return f"{int(at.timestamp()):08x}{secrets.token_hex(_RANDOM // 2)}"


def code_of(order_id: str) -> str:
    """Give the short name of an order, which people say and write on boxes: the first random characters of its id."""
    return order_id[-_RANDOM:][:6].upper()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an order is cancelled: a sentence, and what it says as one of REASON_CODES, with the names of what is out."""

    sentence: str
    code: str | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it stands. Money in ``currency``; times are UTC."""

    id: str
    customer_id: str
    status: str
    fulfilment: str
    payment: str
    name: str
    phone: str
    email: str | None
    address: str | None
    note: str | None
    items: tuple[OrderItem, ...]
    subtotal: Decimal
    tax: Decimal
    total: Decimal
    currency: str
    placed_at: datetime
    estimated_ready_time: datetime
    estimated_delivery_time: datetime
    language: str | None
    cooking_at: datetime | None = None
    ready_at: datetime | None = None
    out_for_delivery_at: datetime | None = None
    delivered_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancelled_reason: str | None = None

    @property
    def code(self) -> str:
        """The short name of the order."""
        return code_of(self.id)

    @property
    def contact(self) -> dict[str, Any]:
        """The fields that every event of this order bears."""
        return {
            "order_id": self.id,
            "customer_id": self.customer_id,
            "customer_name": self.name,
            "customer_phone": self.phone,
            "customer_email": self.email,
            "language": self.language,
        }

    def may(self, event_type: type[OrderEvent]) -> bool:
        """Tell whether this can happen to the order now; a delivery is never handed over the counter."""
        sources, _ = TRANSITIONS[event_type]
        if event_type is OrderDelivered and self.fulfilment == "delivery":
            return self.status == "out_for_delivery"
        if event_type is OrderOutForDelivery and self.fulfilment == "pickup":
            return False
        return self.status in sources


def without_notes(items: Iterable[OrderItem]) -> tuple[OrderItem, ...]:
    """Give an order's lines as its events tell them."""
    return tuple(msgspec.structs.replace(item, note=None) for item in items)


_COLUMNS = tuple(Order.__dataclass_fields__)
_AS_PLACED = _COLUMNS[: _COLUMNS.index("cooking_at")]


def as_placed(order: Order) -> dict[str, Any]:
    """Give the order's fields as they were when it was placed."""
    return {name: getattr(order, name) for name in _AS_PLACED} | {"status": "placed"}


_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM orders "


def _order(row: Any) -> Order:
    values = dict(row._mapping)
    values["items"] = msgspec.convert(values["items"], tuple[OrderItem, ...])
    return Order(**values)


def get(connection: Connection, order_id: str) -> Order:
    """Read an order. Raises UnknownOrderError."""
    row = connection.execute(text(_SELECT + "WHERE id = :id"), {"id": order_id}).one_or_none()
    if row is None:
        raise UnknownOrderError("There is no such order.")
    return _order(row)


def open_orders(connection: Connection, limit: int = 200) -> list[Order]:
    """Read the orders that are neither delivered nor cancelled, the oldest first."""
    rows = connection.execute(
        text(_SELECT + "WHERE status NOT IN ('delivered', 'cancelled') ORDER BY placed_at LIMIT :limit"),
        {"limit": limit},
    )
    return [_order(row) for row in rows]


def page(connection: Connection, after: str, limit: int) -> list[Order]:
    """Read the orders whose ids come after this one, so many at most, sorted by id."""
    rows = connection.execute(
        text(_SELECT + "WHERE id > :after ORDER BY id LIMIT :limit"), {"after": after, "limit": limit}
    )
    return [_order(row) for row in rows]


class Orders:
    """The orders that a unit of work changes: locked all at once, then moved along."""

    def __init__(self, work: UnitOfWork, ids: Iterable[str]) -> None:
        """Lock these orders, sorted; those that do not exist are left out."""
        self._work = work
        work.locks("orders")
        wanted = sorted(set(ids))
        rows = work.connection.execute(text(_SELECT + "WHERE id = ANY(:ids) ORDER BY id FOR UPDATE"), {"ids": wanted})
        self._orders = {row.id: _order(row) for row in rows}

    def __getitem__(self, order_id: str) -> Order:
        """Give one of the locked orders. Raises UnknownOrderError."""
        if order_id not in self._orders:
            raise UnknownOrderError("There is no such order.")
        return self._orders[order_id]

    def which(self, status: str) -> list[str]:
        """Tell which of the locked orders are in a state."""
        return [order.id for order in self._orders.values() if order.status == status]

    def advance(self, ids: Iterable[str], event_type: type[E], happened: Callable[[Order], E]) -> list[str]:
        """Let those orders to which this may happen take the step, and record it; gives their ids.

        The time of the step is that which the events bear (``ready_at`` and the like; all the same one), if they do.
        """
        moving = [self._orders[i] for i in ids if i in self._orders and self._orders[i].may(event_type)]
        if not moving:
            return []
        events = [happened(order) for order in moving]
        self._save(event_type, moving, events)
        for event in events:
            self._work.record(event)
        return [order.id for order in moving]

    def _save(self, event_type: type[OrderEvent], moving: Sequence[Order], events: Sequence[OrderEvent]) -> None:
        _, status = TRANSITIONS[event_type]
        at = getattr(events[0], f"{status}_at", None) or clock.now()
        reason = events[0].reason if isinstance(events[0], OrderCancelled) else None
        self._work.run(
            f"UPDATE orders SET status = :status, {status}_at = :now, cancelled_reason = :reason WHERE id = ANY(:ids)",
            status=status,
            now=at,
            reason=reason,
            ids=[order.id for order in moving],
        )
        for order in moving:
            changed: dict[str, Any] = {"status": status, "cancelled_reason": reason, f"{status}_at": at}
            self._orders[order.id] = replace(order, **changed)


def cancel(work: UnitOfWork, order_id: str, reason: str, cancelled_by: str, code: str | None = None) -> Order:
    """Cancel an order that is not cooking yet; cancelling it once more changes nothing.

    Raises UnknownOrderError, or TooLateError once it cooks.
    """
    locked = Orders(work, [order_id])
    why = {order_id: Reason(reason, code)}
    if locked[order_id].status != "cancelled" and not cancel_all(locked, why, cancelled_by):
        raise TooLateError("The order is already being made and can no longer be cancelled.")
    return locked[order_id]


def cancel_all(orders: Orders, reasons: Mapping[str, Reason], cancelled_by: str) -> list[str]:
    """Cancel those of these orders that are not cooking yet, each for its reason; gives their ids."""

    def cancelled(order: Order) -> OrderCancelled:
        return OrderCancelled(
            **order.contact,
            reason=reasons[order.id].sentence,
            reason_code=reasons[order.id].code,
            missing_ingredients=reasons[order.id].missing or None,
            cancelled_by=cancelled_by,
            cancelled_at=clock.now(),
            payment=order.payment,
        )

    return [done for order_id in reasons for done in orders.advance([order_id], OrderCancelled, cancelled)]
