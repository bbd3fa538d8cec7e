"""The store: what is in it, what orders have put by, and a ledger whose movements sum to the quantities."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from domain.events import InventoryLow, MissingIngredient, OrderItem, SupplierInfo
from domain.kernel.unit_of_work import UnitOfWork

Needs = Mapping[str, int]
"""Ingredient id → quantity in its unit."""


@dataclass(slots=True)
class Ingredient:
    """One ingredient in the store; quantities in its unit, never below zero."""

    id: str
    name: str
    quantity: int
    minimum_threshold: int
    supplier: SupplierInfo


class RecipeBook:
    """What pizzas and toppings take from the store."""

    def __init__(self, connection: Connection) -> None:
        """Read every recipe."""
        self._pizzas: dict[tuple[str, str], Counter[str]] = {}
        for row in connection.execute(text("SELECT pizza_id, size_id, ingredient_id, quantity FROM recipes")):
            self._pizzas.setdefault((row.pizza_id, row.size_id), Counter())[row.ingredient_id] = row.quantity
        self._toppings: dict[str, tuple[str, int]] = {
            row.id: (row.ingredient_id, row.quantity)
            for row in connection.execute(text("SELECT id, ingredient_id, quantity FROM toppings"))
        }

    def needs(self, items: Iterable[OrderItem]) -> Counter[str]:
        """Sum up what an order's pizzas take; a pizza without a recipe takes nothing."""
        needed: Counter[str] = Counter()
        for item in items:
            for ingredient, quantity in self._pizzas.get((item.pizza, item.size), {}).items():
                needed[ingredient] += quantity * item.quantity
            for topping in item.toppings:
                if topping in self._toppings:
                    ingredient, quantity = self._toppings[topping]
                    needed[ingredient] += quantity * item.quantity
        return needed


class Reservations:
    """What orders have put by. A released one stays as a tombstone: a reservation that comes late does nothing."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        work.locks("reservations")

    def open(self, order_ids: Iterable[str]) -> list[str]:
        """Begin reservations; gives those orders that had neither one nor a tombstone."""
        return self._work.column(
            "INSERT INTO reservations (order_id, state)"
            " SELECT id, 'refused' FROM unnest(CAST(:ids AS text[])) AS id ORDER BY id"
            " ON CONFLICT DO NOTHING RETURNING order_id",
            ids=sorted(set(order_ids)),
        )

    def close(self, reserved: Mapping[str, Needs]) -> None:
        """Write down what was put by for each order; the others that were begun stay refused."""
        if reserved:
            self._work.run(
                "UPDATE reservations r SET state = 'reserved', ingredients = n.ingredients::jsonb"
                " FROM unnest(CAST(:ids AS text[]), CAST(:needs AS text[])) AS n (order_id, ingredients)"
                " WHERE r.order_id = n.order_id AND r.order_id = ANY(CAST(:ids AS text[]))",
                ids=list(reserved),
                needs=[msgspec.json.encode(needs).decode() for needs in reserved.values()],
            )

    def release(self, order_ids: Iterable[str]) -> dict[str, Needs]:
        """End the reservations of these orders, leave tombstones, and give what has to go back for each."""
        ids = sorted(set(order_ids))
        self._work.run(
            "INSERT INTO reservations (order_id, state)"
            " SELECT id, 'released' FROM unnest(CAST(:ids AS text[])) AS id ORDER BY id ON CONFLICT DO NOTHING",
            ids=ids,
        )
        held = self._work.run(
            "SELECT order_id, ingredients FROM reservations WHERE order_id = ANY(:ids) AND state = 'reserved'"
            " ORDER BY order_id FOR UPDATE",
            ids=ids,
        ).all()
        self._work.run(
            "UPDATE reservations SET state = 'released' WHERE order_id = ANY(:ids)",
            ids=[row.order_id for row in held],
        )
        return {row.order_id: row.ingredients for row in held}


class Stock:
    """The ingredients that a unit of work changes: locked all at once, sorted."""

    def __init__(self, work: UnitOfWork, ids: Iterable[str]) -> None:
        """Lock these ingredients."""
        self._work = work
        work.locks("ingredients")
        rows = work.run(
            "SELECT i.id, i.name, i.quantity, i.minimum_threshold, s.id AS supplier_id, s.name AS supplier_name,"
            " s.email, s.phone, s.lead_days FROM ingredients i JOIN suppliers s ON s.id = i.supplier_id"
            " WHERE i.id = ANY(:ids) ORDER BY i.id FOR UPDATE OF i",
            ids=sorted(set(ids)),
        )
        self._ingredients = {row.id: _ingredient(row) for row in rows}
        self._before = {i.id: i.quantity for i in self._ingredients.values()}
        self._movements: list[dict[str, str | int]] = []

    def reserve(self, order_id: str, needs: Needs) -> tuple[MissingIngredient, ...]:
        """Put by what an order needs, all or nothing; gives what is missing."""
        missing = tuple(
            MissingIngredient(
                ingredient_id=i, ingredient_name=self._ingredients[i].name, required=n, available=available
            )
            for i, n in sorted(needs.items())
            if (available := self._ingredients[i].quantity) < n
        )
        if not missing:
            self._move("reserved", order_id, {i: -n for i, n in needs.items()})
        return missing

    def put_back(self, order_id: str, needs: Needs) -> None:
        """Put back what an order had reserved."""
        self._move("released", order_id, needs)

    def _move(self, reason: str, order_id: str, quantities: Needs) -> None:
        for ingredient, quantity in sorted(quantities.items()):
            self._ingredients[ingredient].quantity += quantity
            self._movements.append(
                {"ingredient_id": ingredient, "reason": reason, "quantity": quantity, "order_id": order_id}
            )

    def save(self) -> None:
        """Write the quantities and their movements, and record each ingredient that fell below its threshold."""
        if not self._movements:
            return
        self._work.insert("stock_movements", self._movements)
        changed = [i for i in self._ingredients.values() if i.quantity != self._before[i.id]]
        self._work.run(
            "UPDATE ingredients i SET quantity = n.quantity"
            " FROM unnest(CAST(:ids AS text[]), CAST(:quantities AS bigint[])) AS n (id, quantity) WHERE i.id = n.id",
            ids=[i.id for i in changed],
            quantities=[i.quantity for i in changed],
        )
        for ingredient in changed:
            if ingredient.quantity < ingredient.minimum_threshold <= self._before[ingredient.id]:
                self._work.record(_low(ingredient))


def _low(ingredient: Ingredient) -> InventoryLow:
    return InventoryLow(
        ingredient_id=ingredient.id,
        ingredient_name=ingredient.name,
        current_quantity=ingredient.quantity,
        minimum_threshold=ingredient.minimum_threshold,
        supplier_info=ingredient.supplier,
    )


def _ingredient(row: Any) -> Ingredient:
    supplier = SupplierInfo(
        supplier_id=row.supplier_id,
        name=row.supplier_name,
        email=row.email,
        phone=row.phone,
        lead_days=row.lead_days,
    )
    return Ingredient(row.id, row.name, row.quantity, row.minimum_threshold, supplier)


Outcome = dict[str, tuple[Needs, tuple[MissingIngredient, ...]]]


def reserve(work: UnitOfWork, wanted: Mapping[str, Sequence[OrderItem]]) -> Outcome:
    """Reserve for each order what its items need, in the order given; gives what was needed and what is missing.

    An order that was released before, or reserved before, is left out: nothing is done for it.
    """
    begun = set((reservations := Reservations(work)).open(wanted))
    book = RecipeBook(work.connection)
    needs = {order_id: book.needs(items) for order_id, items in wanted.items() if order_id in begun}
    stock = Stock(work, {ingredient for needed in needs.values() for ingredient in needed})
    outcome: Outcome = {order_id: (needed, stock.reserve(order_id, needed)) for order_id, needed in needs.items()}
    reservations.close({order_id: needed for order_id, (needed, missing) in outcome.items() if not missing})
    stock.save()
    return outcome


def release(work: UnitOfWork, order_ids: Iterable[str]) -> None:
    """Put back what these orders had reserved, and see to it that a reservation which comes later does nothing."""
    held = Reservations(work).release(order_ids)
    stock = Stock(work, {ingredient for needs in held.values() for ingredient in needs})
    for order_id, needs in held.items():
        stock.put_back(order_id, needs)
    stock.save()
