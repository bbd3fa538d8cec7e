"""Placing orders: each is saved with the event that tells of it, as many in a transaction as come together."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, text

from domain import accounts
from domain.basket import InvalidOrderError, NewOrder, preparation_time, price, sums
from domain.customers import find_or_add
from domain.events import OrderItem, OrderPlaced
from domain.kernel import clock
from domain.kernel.unit_of_work import UnitOfWork
from domain.menu import Menu
from domain.orders import Order, OrderError, UnknownOrderError, as_placed, get, new_id, without_notes
from domain.settings import Settings

Placed = tuple[Order, bool]
"""An order, and whether it is new."""
Outcome = Placed | InvalidOrderError


class KeyReusedError(OrderError):
    """The idempotency key was used before, for another order."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """What somebody asks for, with the idempotency key and the correlation of the asking."""

    new: NewOrder
    key: str | None
    correlation_id: str


def place(work: UnitOfWork, incoming: Sequence[Incoming], menu: Menu, settings: Settings) -> list[Outcome]:
    """Save orders and record that they were placed. Gives for each the order, or why it cannot be ordered.

    With an idempotency key that was used for the same request, gives that order as it was first placed; parallel
    requests wait for each other. Charges house accounts with what is put on them. Raises KeyReusedError where a key
    was another request's, and then nothing is saved.
    """
    outcomes: dict[int, Outcome] = {}
    items: dict[int, tuple[OrderItem, ...]] = {}
    for number, asked in enumerate(incoming):
        try:
            items[number] = price(asked.new.lines, menu)
        except InvalidOrderError as invalid:  # but what has sold out since it was placed was ordered in time
            outcomes[number] = invalid
            with suppress(UnknownOrderError):
                outcomes[number] = _placed_before(work.connection, asked)
    for number in _beyond_credit(work, incoming, items, settings):
        del items[number]
        outcomes[number] = InvalidOrderError({"payment": accounts.REFUSED})
    customers = find_or_add(work.connection, [incoming[number].new.contact for number in items])
    drafts = {
        number: _draft(incoming[number].new, items[number], customer.id, menu, settings)
        for number, customer in zip(items, customers, strict=True)
    }
    added = _insert(work, [(draft, incoming[number]) for number, draft in drafts.items()])
    owed = [draft for draft in drafts.values() if draft.payment == accounts.PAYMENT and draft.id in added]
    accounts.charge(work, [(draft.customer_id, draft.id, draft.total) for draft in owed])
    for (number, draft), customer in zip(drafts.items(), customers, strict=True):
        if draft.id in added:
            work.record(_event(draft, customer.returning), correlation_id=incoming[number].correlation_id)
            outcomes[number] = draft, True
        else:
            outcomes[number] = _placed_before(work.connection, incoming[number])
    return [outcomes[number] for number in range(len(incoming))]


def _beyond_credit(
    work: UnitOfWork, incoming: Sequence[Incoming], items: Mapping[int, tuple[OrderItem, ...]], settings: Settings
) -> list[int]:
    """Find the orders that are to be put on a house account and may not; locks the accounts, if there are such orders.

    Before anything is saved: whoever is refused does not become a customer.
    """
    wanted = [number for number in items if incoming[number].new.payment == accounts.PAYMENT]
    wishes = [
        accounts.Wish(incoming[number].new.contact.phone, sums(items[number], settings).total, incoming[number].key)
        for number in wanted
    ]
    may = accounts.within_limit(work, wishes)
    return [number for number, fine in zip(wanted, may, strict=True) if not fine]


def _draft(new: NewOrder, items: tuple[OrderItem, ...], customer_id: str, menu: Menu, settings: Settings) -> Order:
    """Make the order of what is asked for: its sums, and its estimated times."""
    now = clock.now()
    ready = now + preparation_time(items, menu, settings)
    drive = timedelta(seconds=settings.drive_seconds) if new.fulfilment == "delivery" else timedelta()
    cost = sums(items, settings)
    return Order(
        id=new_id(now),
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
        subtotal=cost.subtotal,
        tax=cost.tax,
        total=cost.total,
        currency=settings.currency,
        placed_at=now,
        estimated_ready_time=ready,
        estimated_delivery_time=ready + drive,
        language=new.language or settings.language,
    )


def _insert(work: UnitOfWork, drafts: Sequence[tuple[Order, Incoming]]) -> set[str]:
    """Save drafts whose key is new; gives their ids. Sorted by key: two who save the same keys must not deadlock."""
    rows = [as_placed(order) | _beside(asked) for order, asked in sorted(drafts, key=lambda draft: draft[1].key or "")]
    return set(work.insert("orders", rows, "(idempotency_key) DO NOTHING", returning="id"))


def _beside(asked: Incoming) -> dict[str, str | None]:
    digest = f"\\x{asked.new.digest().hex()}" if asked.key else None
    return {"idempotency_key": asked.key, "request_hash": digest, "card_token": asked.new.card_token}


def _placed_before(connection: Connection, asked: Incoming) -> Placed:
    """Give the order that was placed with this key, as it was then.

    Raises UnknownOrderError if there is none, and KeyReusedError if it was another.
    """
    found = connection.execute(
        text("SELECT id, request_hash FROM orders WHERE idempotency_key = :key"), {"key": asked.key}
    ).one_or_none()
    if found is None:
        raise UnknownOrderError("There is no such order.")
    if bytes(found.request_hash) != asked.new.digest():
        raise KeyReusedError("This Idempotency-Key was used for another order: make a new key for each order.")
    return Order(**as_placed(get(connection, found.id))), False


def _event(order: Order, returning: bool) -> OrderPlaced:
    return OrderPlaced(
        **order.contact,
        items=without_notes(order.items),
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
