"""Placing orders: each is saved with the event that tells of it, many in one transaction."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

from sqlalchemy import Connection, text

from domain import customers
from domain.basket import InvalidOrderError, NewOrder, preparation_time, price
from domain.events import OrderItem, OrderPlaced
from domain.kernel import clock
from domain.kernel.unit_of_work import UnitOfWork
from domain.menu import Menu
from domain.orders import CENT, KeyReusedError, Order, as_placed, get
from domain.settings import Settings

Placed = tuple[Order, bool]
"""An order, and whether it is new."""


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for, with the idempotency key and the correlation of the asking."""

    new: NewOrder
    key: str | None
    correlation_id: str


def place_all(
    work: UnitOfWork, requests: Sequence[Request], menu: Menu, settings: Settings
) -> list[Placed | Exception]:
    """Save orders and record that they were placed. Gives for each the order, or why it cannot be.

    With an idempotency key that was used for the same request, gives that order as it was first placed; parallel
    requests wait for each other. InvalidOrderError stands for what cannot be ordered, KeyReusedError for a key that was
    another request's.
    """
    outcomes: dict[int, Placed | Exception] = {}
    items: dict[int, tuple[OrderItem, ...]] = {}
    for n, request in enumerate(requests):
        try:
            items[n] = price(request.new.lines, menu)
        except InvalidOrderError as invalid:  # but what has sold out since it was placed was ordered in time
            outcomes[n] = _before(work.connection, request) or invalid
    people = customers.find_or_add(work.connection, [requests[n].new.contact for n in items])
    drafts = {
        n: _draft(requests[n].new, items[n], person.id, menu, settings) for n, person in zip(items, people, strict=True)
    }
    added = _insert(work, [(draft, requests[n]) for n, draft in drafts.items()])
    for (n, draft), person in zip(drafts.items(), people, strict=True):
        if draft.id in added:
            work.record(_placed(draft, person.returning), correlation_id=requests[n].correlation_id)
            outcomes[n] = draft, True
        else:
            outcomes[n] = _before(work.connection, requests[n]) or LookupError("The order with this key is gone.")
    return [outcomes[n] for n in range(len(requests))]


def place(work: UnitOfWork, new: NewOrder, menu: Menu, settings: Settings, key: str | None = None) -> Placed:
    """Save one order in the work's own correlation; see place_all. Raises InvalidOrderError or KeyReusedError."""
    (outcome,) = place_all(work, [Request(new, key, work.correlation_id)], menu, settings)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _draft(new: NewOrder, items: tuple[OrderItem, ...], customer_id: str, menu: Menu, settings: Settings) -> Order:
    """Make the order of what is asked for: its sums, and its estimated times."""
    now = clock.now()
    ready = now + preparation_time(items, menu, settings)
    drive = timedelta(seconds=settings.drive_seconds) if new.fulfilment == "delivery" else timedelta()
    subtotal = sum((item.unit_price * item.quantity for item in items), Decimal(0)).quantize(CENT)
    tax = (subtotal * settings.tax_rate).quantize(CENT, ROUND_HALF_UP)
    return Order(
        id=secrets.token_hex(16),
        customer_id=customer_id,
        status="placed",
        fulfilment=new.fulfilment,
        payment=new.payment,
        name=new.contact.name,
        phone=new.contact.phone,
        email=new.contact.email,
        address=new.address,
        note=new.note,
        items=items,
        subtotal=subtotal,
        tax=tax,
        total=subtotal + tax,
        currency=settings.currency,
        placed_at=now,
        estimated_ready_time=ready,
        estimated_delivery_time=ready + drive,
    )


def _insert(work: UnitOfWork, drafts: Sequence[tuple[Order, Request]]) -> set[str]:
    """Save drafts whose key is new; gives their ids. Sorted by key: two who save the same keys must not deadlock."""
    rows = [as_placed(order) | _key(request) for order, request in sorted(drafts, key=lambda draft: draft[1].key or "")]
    return set(work.insert("orders", rows, "(idempotency_key) DO NOTHING", returning="id"))


def _key(request: Request) -> dict[str, str | None]:
    digest = f"\\x{request.new.digest().hex()}" if request.key else None
    return {"idempotency_key": request.key, "request_hash": digest}


def _before(connection: Connection, request: Request) -> Placed | Exception | None:
    """Give the order that was placed with the request's key, as it was then, or KeyReusedError if it was another."""
    found = connection.execute(
        text("SELECT id, request_hash FROM orders WHERE idempotency_key = :key"), {"key": request.key}
    ).one_or_none()
    if found is None:
        return None
    if bytes(found.request_hash) != request.new.digest():
        return KeyReusedError("This Idempotency-Key was used for another order: make a new key for each order.")
    return Order(**as_placed(get(connection, found.id))), False


def _placed(order: Order, returning: bool) -> OrderPlaced:
    return OrderPlaced(
        **order.contact,
        items=order.items,
        total_amount=order.total,
        currency=order.currency,
        fulfilment=order.fulfilment,
        payment=order.payment,
        delivery_address=order.address,
        estimated_ready_time=order.estimated_ready_time,
        estimated_delivery_time=order.estimated_delivery_time,
        placed_at=order.placed_at,
        returning_customer=returning,
    )
