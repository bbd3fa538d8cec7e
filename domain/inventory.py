"""The store: what is in it, what orders have put by, and a ledger whose movements sum to the quantities."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
    unit: str
    quantity: int
    minimum_threshold: int
    supplier: SupplierInfo
    low_until: int | None = None
    """It is known to be low, until so much is there again; None while it is not."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """An ingredient as people look at it, with the purchase that is on its way."""

    id: str
    name: str
    unit: str
    quantity: int
    minimum_threshold: int
    low: bool
    supplier: str
    purchase_id: int | None
    purchased: int | None
    ordered_at: datetime | None


class StockError(Exception):
    """The store cannot do what it is asked to do; the message is a sentence."""


class UnknownIngredientError(StockError):
    """There is no such ingredient."""


class QuantityError(StockError):
    """There cannot be so much of it."""


MAX_QUANTITY = 10**12
"""More than any store holds, in any unit."""
COUNT = f"Count a whole number from 0 to {MAX_QUANTITY}."
WASTE = f"Waste a whole number from 1 to {MAX_QUANTITY}."
SUPPLIER = "s.id AS supplier_id, s.name AS supplier_name, s.email, s.phone, s.lead_days"
"""What ``supplier_of`` wants of a row of ``suppliers s``."""


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

    def use(self, order_ids: Iterable[str]) -> None:
        """Turn the reservations of orders that are made into what they used: nothing of it ever comes back."""
        self._work.run(
            "UPDATE reservations SET state = 'used' WHERE order_id = ANY(:ids) AND state = 'reserved'",
            ids=sorted(set(order_ids)),
        )


class Stock:
    """The ingredients that a unit of work changes: locked all at once, sorted."""

    def __init__(self, work: UnitOfWork, ids: Iterable[str]) -> None:
        """Lock these ingredients."""
        self._work = work
        work.locks("ingredients")
        rows = work.run(
            f"SELECT i.id, i.name, i.unit, i.quantity, i.minimum_threshold, i.low_until, {SUPPLIER}"
            " FROM ingredients i JOIN suppliers s ON s.id = i.supplier_id"
            " WHERE i.id = ANY(:ids) ORDER BY i.id FOR UPDATE OF i",
            ids=sorted(set(ids)),
        )
        self._ingredients = {row.id: _ingredient(row) for row in rows}
        self._before = {i.id: (i.quantity, i.low_until) for i in self._ingredients.values()}
        self._movements: list[dict[str, str | int | None]] = []
        self._needed: Counter[str] = Counter()

    def __getitem__(self, ingredient_id: str) -> Ingredient:
        """Give one of the locked ingredients. Raises UnknownIngredientError."""
        if ingredient_id not in self._ingredients:
            raise UnknownIngredientError(f"No ingredient is called {ingredient_id}.")
        return self._ingredients[ingredient_id]

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
            self._move("reserved", {i: -n for i, n in needs.items()}, order_id=order_id)
        for ingredient in missing:
            self._needed[ingredient.ingredient_id] = max(ingredient.required, self._needed[ingredient.ingredient_id])
        return missing

    def put_back(self, order_id: str, needs: Needs) -> None:
        """Put back what an order had reserved."""
        self._move("released", needs, order_id=order_id)

    def receive(self, ingredient_id: str, quantity: int, purchase_id: int) -> None:
        """Take a purchase in."""
        self._move("received", {ingredient_id: quantity}, purchase_id=purchase_id)

    def correct(self, reason: str, ingredient_id: str, quantity: int) -> None:
        """Make it so much, as somebody found it; where it is so much already, nothing moves."""
        if difference := quantity - self[ingredient_id].quantity:
            self._move(reason, {ingredient_id: difference})

    def _move(self, reason: str, quantities: Needs, **about: str | int) -> None:
        for ingredient, quantity in sorted(quantities.items()):
            self._ingredients[ingredient].quantity += quantity
            self._movements.append({"ingredient_id": ingredient, "reason": reason, "quantity": quantity, **about})

    def save(self) -> None:
        """Write the quantities and their movements, and record each ingredient that has got low."""
        self._work.insert("stock_movements", self._movements)
        low = [ingredient for ingredient in self._ingredients.values() if self._gets_low(ingredient)]
        changed = [i for i in self._ingredients.values() if (i.quantity, i.low_until) != self._before[i.id]]
        if changed:
            self._work.run(
                "UPDATE ingredients i SET quantity = n.quantity, low_until = n.low_until"
                " FROM unnest(CAST(:ids AS text[]), CAST(:quantities AS bigint[]), CAST(:lows AS bigint[]))"
                " AS n (id, quantity, low_until) WHERE i.id = n.id",
                ids=[i.id for i in changed],
                quantities=[i.quantity for i in changed],
                lows=[i.low_until for i in changed],
            )
        for ingredient in low:
            self._work.record(_low(ingredient))

    def _gets_low(self, ingredient: Ingredient) -> bool:
        """Note whether there is too little of it, for the threshold or for an order, and tell whether that is new."""
        if ingredient.low_until is not None:
            if ingredient.quantity >= ingredient.low_until:
                ingredient.low_until = None
            return False
        enough = max(ingredient.minimum_threshold, self._needed[ingredient.id])
        if ingredient.quantity < enough:
            ingredient.low_until = enough
        return ingredient.low_until is not None


def _low(ingredient: Ingredient) -> InventoryLow:
    return InventoryLow(
        ingredient_id=ingredient.id,
        ingredient_name=ingredient.name,
        current_quantity=ingredient.quantity,
        minimum_threshold=ingredient.minimum_threshold,
        supplier_info=ingredient.supplier,
    )


def _ingredient(row: Any) -> Ingredient:
    return Ingredient(row.id, row.name, row.unit, row.quantity, row.minimum_threshold, supplier_of(row), row.low_until)


def supplier_of(row: Any) -> SupplierInfo:
    """Make a supplier of a row that holds SUPPLIER."""
    return SupplierInfo(
        supplier_id=row.supplier_id,
        name=row.supplier_name,
        email=row.email,
        phone=row.phone,
        lead_days=row.lead_days,
    )


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


def use(work: UnitOfWork, order_ids: Iterable[str]) -> None:
    """Note that these orders are made: what was put by for them is used."""
    Reservations(work).use(order_ids)


def count(work: UnitOfWork, ingredient_id: str, quantity: int) -> Ingredient:
    """Write down that somebody counted so much of an ingredient, beside what is put by for orders.

    Raises UnknownIngredientError or QuantityError.
    """
    if not 0 <= quantity <= MAX_QUANTITY:
        raise QuantityError(COUNT)
    stock = Stock(work, [ingredient_id])
    stock.correct("counted", ingredient_id, quantity)
    stock.save()
    return stock[ingredient_id]


def waste(work: UnitOfWork, ingredient_id: str, quantity: int) -> Ingredient:
    """Write down that so much of an ingredient was thrown away. Raises UnknownIngredientError or QuantityError."""
    if not 0 < quantity <= MAX_QUANTITY:
        raise QuantityError(WASTE)
    stock = Stock(work, [ingredient_id])
    there = stock[ingredient_id]
    if there.quantity < quantity:
        raise QuantityError(f"There is no more than {there.quantity} {there.unit} of {there.name.lower()} to waste.")
    stock.correct("wasted", ingredient_id, there.quantity - quantity)
    stock.save()
    return there


def shelves(connection: Connection) -> list[Shelf]:
    """Read what is in the store, by name; of what is retired only what is there still or on its way."""
    rows = connection.execute(
        text(
            "SELECT i.id, i.name, i.unit, i.quantity, i.minimum_threshold,"
            " i.quantity < i.minimum_threshold AND NOT i.retired AS low,"
            " s.name AS supplier, p.id AS purchase_id, p.quantity AS purchased, p.ordered_at FROM ingredients i"
            " JOIN suppliers s ON s.id = i.supplier_id"
            " LEFT JOIN purchases p ON p.ingredient_id = i.id AND p.state = 'open'"
            " WHERE NOT i.retired OR i.quantity > 0 OR p.id IS NOT NULL ORDER BY i.name, i.id"
        )
    )
    return [Shelf(*row) for row in rows]
