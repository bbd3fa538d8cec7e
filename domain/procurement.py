"""Procurement: buys what is low, one open purchase for each ingredient at the most, and takes in what comes.

So much is bought as brings the ingredient to three times what it was low against: its threshold, or what an order
needed of it where that is more. So whatever is taken until it comes, it is above both afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domain.events import InventoryLow, PurchaseOrdered, StockReceived, SupplierReminded
from domain.inventory import MAX_QUANTITY, SUPPLIER, Ingredient, Stock, StockError, supplier_of
from domain.kernel import clock
from domain.kernel.unit_of_work import UnitOfWork

UP_TO = 3
MAX_THRESHOLD = MAX_QUANTITY // UP_TO
"""So that what is bought for it is no more than can be counted."""


class UnknownPurchaseError(StockError):
    """There is no such purchase."""


class ReceivedBeforeError(StockError):
    """The purchase has come already."""


@dataclass(frozen=True, slots=True)
class Received:
    """A purchase that has just come, and its ingredient as it is now."""

    quantity: int
    ingredient: Ingredient


def order(work: UnitOfWork, low: Sequence[InventoryLow]) -> None:
    """Buy what is low and not on its way. What is told late, and is low no longer, is not bought.

    Nor is what is retired: it is no longer known to be low, so that it is told anew once it is brought back.
    """
    because = {event.ingredient_id: event for event in low}
    work.locks("ingredients")
    wanted = work.run(
        "SELECT id, quantity, low_until, supplier_id, retired FROM ingredients"
        " WHERE id = ANY(:ids) AND low_until IS NOT NULL ORDER BY id FOR UPDATE",
        ids=sorted(because),
    ).all()
    if retired := [row.id for row in wanted if row.retired]:
        work.run("UPDATE ingredients SET low_until = NULL WHERE id = ANY(:ids)", ids=retired)
    work.locks("purchases")
    ordered = work.insert(
        "purchases",
        [
            {
                "ingredient_id": row.id,
                "supplier_id": row.supplier_id,
                "quantity": UP_TO * row.low_until - row.quantity,
                "ordered_at": clock.now(),
            }
            for row in wanted
            if not row.retired
        ],
        "(ingredient_id) WHERE state = 'open' DO NOTHING",
        returning="id",
    )
    for purchase in _read(work, ordered):
        work.record(PurchaseOrdered(**_facts(purchase)), because=because[purchase.ingredient_id])


def receive(work: UnitOfWork, purchase_id: int, received_by: str) -> Received:
    """Take a purchase into the store and close it. Raises UnknownPurchaseError or ReceivedBeforeError."""
    ingredient_id = work.run("SELECT ingredient_id FROM purchases WHERE id = :id", id=purchase_id).scalar()
    if ingredient_id is None:
        raise UnknownPurchaseError(f"There is no purchase {purchase_id}.")
    stock = Stock(work, [ingredient_id])
    work.locks("purchases")
    quantity = work.run(
        "UPDATE purchases SET state = 'received', received_at = :now, received_by = :who"
        " WHERE id = :id AND state = 'open' RETURNING quantity",
        id=purchase_id,
        now=clock.now(),
        who=received_by,
    ).scalar()
    if quantity is None:
        raise ReceivedBeforeError(f"Purchase {purchase_id} was received before.")
    stock.receive(ingredient_id, quantity, purchase_id)
    stock.save()
    ingredient = stock[ingredient_id]
    work.record(
        StockReceived(
            ingredient_id=ingredient_id,
            ingredient_name=ingredient.name,
            purchase_id=purchase_id,
            received_quantity=quantity,
            current_quantity=ingredient.quantity,
            received_by=received_by,
        )
    )
    return Received(quantity, ingredient)


def remind(work: UnitOfWork, purchase_id: int, requested_by: str) -> None:
    """Have the mail about an open purchase sent once more. Raises ReceivedBeforeError."""
    work.locks("purchases")
    work.run("SELECT id FROM purchases WHERE id = :id FOR UPDATE", id=purchase_id)
    (purchase,) = _read(work, [purchase_id])
    if purchase.state != "open":
        raise ReceivedBeforeError(f"Purchase {purchase_id} was received before.")
    work.record(SupplierReminded(**_facts(purchase), requested_by=requested_by))


def _read(work: UnitOfWork, ids: Sequence[int]) -> Sequence[Any]:
    if not ids:
        return []
    return work.run(
        f"SELECT p.id, p.state, p.quantity, p.ingredient_id, i.name, i.unit, {SUPPLIER} FROM purchases p"
        " JOIN ingredients i ON i.id = p.ingredient_id JOIN suppliers s ON s.id = p.supplier_id"
        " WHERE p.id = ANY(:ids) ORDER BY p.id",
        ids=list(ids),
    ).all()


def _facts(purchase: Any) -> dict[str, Any]:
    """Give the fields that every event of a purchase bears."""
    return {
        "purchase_id": purchase.id,
        "ingredient_id": purchase.ingredient_id,
        "ingredient_name": purchase.name,
        "quantity": purchase.quantity,
        "unit": purchase.unit,
        "supplier_info": supplier_of(purchase),
    }
