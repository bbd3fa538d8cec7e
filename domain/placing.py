"""Placing orders: each is saved with the event that tells of it, as many in a transaction as come together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, text

from domain import accounts
from domain.basket import InvalidOrderError, NewOrder, preparation_time, price, sums
from domain.customers import find_or_add
from domain.events import OrderItem, OrderPlaced
from domain.kernel import clock
from domain.kernel.unit_of_work import UnitOfWork, is_conflict, is_duplicate
from domain.menu import Menu
from domain.orders import Order, OrderError, as_placed, get, new_id, without_notes
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


def is_in_the_way(error: BaseException) -> bool:
    """Tell whether placing failed for what others did meanwhile, with the same key maybe: it may be tried again."""
    return is_conflict(error) or is_duplicate(error)


def place(work: UnitOfWork, incoming: Sequence[Incoming], menu: Menu, settings: Settings) -> list[Outcome]:
    """Save orders and record that they were placed. Gives for each the order, or why it cannot be ordered.

    With an idempotency key that was used for the same request, gives that order as it was first placed. Charges house
    accounts with what is put on them. Raises KeyReusedError where a key was another request's, and then nothing is
    saved; where somebody else is saving one with such a key this moment, the work fails (``is_in_the_way``).
    """
    outcomes: dict[int, Outcome] = {**_placed_before(work.connection, incoming)}
    items: dict[int, tuple[OrderItem, ...]] = {}
    for number, asked in enumerate(incoming):
        if number not in outcomes:
            try:
                items[number] = price(asked.new.lines, menu)
            except InvalidOrderError as invalid:
                outcomes[number] = invalid
    for number in _beyond_credit(work, incoming, items, settings):
        del items[number]
        outcomes[number] = InvalidOrderError({"payment": accounts.REFUSED})
    first_of = {incoming[number].key or number: number for number in reversed(items)}  # of those with one key
    saved = _save(work, incoming, {number: items[number] for number in sorted(first_of.values())}, menu, settings)
    for number in items:
        first = first_of[incoming[number].key or number]
        if first != number:
            _see_that_it_is_the_same(incoming[number], incoming[first].new.digest())
        outcomes[number] = saved[first], first == number
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


def _save(
    work: UnitOfWork,
    incoming: Sequence[Incoming],
    items: Mapping[int, tuple[OrderItem, ...]],
    menu: Menu,
    settings: Settings,
) -> dict[int, Order]:
    """Save the orders of what is priced, with their customers, and record that they were placed."""
    customers = find_or_add(work, [incoming[number].new.contact for number in items])
    orders = {}
    for number, customer in zip(items, customers, strict=True):
        order = orders[number] = _draft(incoming[number].new, items[number], customer.id, menu, settings)
        work.record(_event(order, customer.returning), correlation_id=incoming[number].correlation_id)
    # Sorted by key: two who save the same keys must not deadlock.
    rows = [as_placed(order) | _beside(incoming[number]) for number, order in orders.items()]
    work.add("orders", sorted(rows, key=lambda row: row["idempotency_key"] or ""))
    owed = [order for order in orders.values() if order.payment == accounts.PAYMENT]
    accounts.charge(work, [(order.customer_id, order.id, order.total) for order in owed])
    return orders


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


def _beside(asked: Incoming) -> dict[str, str | None]:
    digest = f"\\x{asked.new.digest().hex()}" if asked.key else None
    return {"idempotency_key": asked.key, "request_hash": digest, "card_token": asked.new.card_token}


def _placed_before(connection: Connection, incoming: Sequence[Incoming]) -> dict[int, Placed]:
    """Give the orders that were placed with these keys, as they were then. Raises KeyReusedError if one was another."""
    keys = [asked.key for asked in incoming if asked.key]
    if not keys:
        return {}
    found = {
        row.idempotency_key: row
        for row in connection.execute(
            text("SELECT id, idempotency_key, request_hash FROM orders WHERE idempotency_key = ANY(:keys)"),
            {"keys": keys},
        )
    }
    placed = {}
    for number, asked in enumerate(incoming):
        if row := found.get(asked.key):
            _see_that_it_is_the_same(asked, bytes(row.request_hash))
            placed[number] = Order(**as_placed(get(connection, row.id))), False
    return placed


def _see_that_it_is_the_same(asked: Incoming, digest: bytes) -> None:
    if asked.new.digest() != digest:
        raise KeyReusedError("This Idempotency-Key was used for another order: make a new key for each order.")


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
