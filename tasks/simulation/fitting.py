"""Fits the orders of another till to a shop's menu: by exact names and prices, or not at all."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from domain.basket import MAX_QUANTITY
from tasks.simulation.baskets import Body
from tasks.simulation.history import Row, Sale, Unplaced


@dataclass(frozen=True, slots=True)
class Fitted:
    """An order that can be placed: its body, and the rows that it holds."""

    sale: Sale
    body: Body
    rows: tuple[Row, ...]


class Card:
    """A shop's menu by the names of pizzas and sizes."""

    def __init__(self, menu: Mapping[str, Any]) -> None:
        """Read a menu as ``/api/menu`` gives it."""
        self.sizes: Mapping[str, str] = {size["id"]: size["name"] for size in menu["sizes"]}
        self.names: Mapping[str, str] = {pizza["id"]: pizza["name"] for pizza in menu["pizzas"]}
        self._pizzas = {pizza["name"]: pizza for pizza in menu["pizzas"]}
        called = Counter(self.names.values())
        self._double = {name for name, number in called.items() if number > 1}

    def offer(self, row: Row) -> tuple[str, str]:
        """Give the ids of a row's pizza and size. Raises ValueError with the reason why there is no such offer."""
        pizza = self._pizzas.get(row.name)
        if pizza is None:
            raise ValueError(f"there is no {row.name} on the menu")
        if row.name in self._double:
            raise ValueError(f"there are two pizzas called {row.name} on the menu")
        sizes = [size for size in pizza["prices"] if self.sizes.get(size) == row.size]
        if len(sizes) != 1:
            raise ValueError(f"{row.name} does not come in {row.size}")
        price = pizza["prices"][sizes[0]]
        if Decimal(price) != row.price:
            raise ValueError(f"{row.name} {row.size} costs {price}, not {row.price}")
        if pizza["sold_out"]:
            raise ValueError(f"{row.name} is sold out")
        return pizza["id"], sizes[0]


def fit(orders: Iterable[Sale], card: Card) -> tuple[list[Fitted], list[Unplaced]]:
    """Give what can be placed of these orders, and the rows that cannot."""
    fitted, unplaced = [], []
    for sale in orders:
        offers: Counter[tuple[str, str]] = Counter()
        rows = []
        for row in sale.rows:
            try:
                offers[card.offer(row)] += row.quantity
                rows.append(row)
            except ValueError as error:
                unplaced.append(Unplaced(row.line, str(error), row))
        if rows:
            fitted.append(Fitted(sale, _body(sale, offers), tuple(rows)))
    return fitted, unplaced


def _body(sale: Sale, offers: Mapping[tuple[str, str], int]) -> Body:
    """Make what is posted: the same pizzas on one line as far as they go. It must be the same each time."""
    return {
        "customer": {"name": f"Till order {sale.order}"[:80], "phone": placeholder(sale)},
        "fulfilment": "pickup",
        "payment": "cash",
        "items": [
            {"pizza": pizza, "size": size, "quantity": part}
            for (pizza, size), quantity in offers.items()
            for part in _parts(quantity)
        ],
    }


def _parts(quantity: int) -> Sequence[int]:
    whole, rest = divmod(quantity, MAX_QUANTITY)
    return [MAX_QUANTITY] * whole + [rest] * (rest > 0)


def placeholder(sale: Sale) -> str:
    """Make up a number for an order's customer, of whom a till knows nothing: 555 is never given to a subscriber.

    One customer for all orders would be one loyal guest with a year's pizzas, and one row that all wait for.
    """
    number = int.from_bytes(hashlib.sha256(sale.key.encode()).digest()[:8])
    return f"+1{201 + number % 700}555{number // 700 % 10_000:04}"
