"""The menu: pizzas, sizes, toppings and what they cost."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from domain.kernel import clock

FRESH_SECONDS = 1.0
"""For so long a web process may show the menu as it was before a change."""

# What a price list may say and what the staff may write are the same, so that each takes what the other wrote.
MAX_PRICE = Decimal("9999999.99")
"""Of a pizza in one size."""
MAX_SIZES = 50
"""That one pizza comes in."""
MAX_INGREDIENTS = 50
"""In the recipe of one pizza in one size."""
MAX_TAKEN = 1_000_000
"""Of one ingredient, in its unit, for one pizza or topping."""


@dataclass(frozen=True, slots=True)
class Size:
    """A size that pizzas are sold in."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Topping:
    """An extra, and its price for one pizza of any size."""

    id: str
    name: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class Pizza:
    """A pizza on the menu: its price for each size it comes in."""

    id: str
    name: str
    description: str
    vegetarian: bool
    sold_out: bool
    """It cannot be ordered in any size: taken off by hand, or the store has too little."""
    prices: Mapping[str, Decimal]
    category: str | None = None
    sold_out_sizes: frozenset[str] = frozenset()
    """Those of its sizes for one of which the store has too little."""


@dataclass(frozen=True, slots=True)
class Menu:
    """All that can be ordered, in the menu's own order."""

    pizzas: Mapping[str, Pizza]
    sizes: Mapping[str, Size]
    toppings: Mapping[str, Topping]


def read(connection: Connection) -> Menu:
    """Read the menu: what is not retired and has a price, and the sizes that come up."""
    prices: dict[str, dict[str, Decimal]] = {}
    for row in connection.execute(
        text(
            "SELECT p.pizza_id, p.size_id, p.price FROM prices p JOIN sizes s ON s.id = p.size_id"
            " WHERE NOT p.retired AND NOT s.retired ORDER BY s.rank"
        )
    ):
        prices.setdefault(row.pizza_id, {})[row.size_id] = row.price
    offered = {size for sizes in prices.values() for size in sizes}
    pizzas = connection.execute(
        text(
            "SELECT id, name, description, vegetarian, category, sold_out OR coalesce(off_until > :now, false) AS off"
            " FROM pizzas WHERE NOT retired ORDER BY rank, id"
        ),
        {"now": clock.now()},
    )
    short = _short(connection)
    sizes = connection.execute(text("SELECT id, name FROM sizes ORDER BY rank"))
    toppings = connection.execute(text("SELECT id, name, price FROM toppings WHERE NOT retired ORDER BY rank"))
    return Menu(
        {r.id: _pizza(r, prices[r.id], short.get(r.id, frozenset())) for r in pizzas if r.id in prices},
        {r.id: Size(r.id, r.name) for r in sizes if r.id in offered},
        {r.id: Topping(r.id, r.name, r.price) for r in toppings},
    )


def _short(connection: Connection) -> dict[str, frozenset[str]]:
    """Give the sizes of each pizza for one of which the store has too little; what has no recipe never runs out."""
    sizes: dict[str, frozenset[str]] = {}
    for row in connection.execute(
        text(
            "SELECT DISTINCT r.pizza_id, r.size_id FROM recipes r JOIN ingredients i ON i.id = r.ingredient_id"
            " WHERE i.quantity < r.quantity"
        )
    ):
        sizes[row.pizza_id] = sizes.get(row.pizza_id, frozenset()) | {row.size_id}
    return sizes


def _pizza(row: Any, prices: Mapping[str, Decimal], short: frozenset[str]) -> Pizza:
    short &= prices.keys()
    off = row.off or short == prices.keys()
    return Pizza(row.id, row.name, row.description, row.vegetarian, off, prices, row.category, short)


class CachedMenu:
    """The menu, read again when it is older than so many seconds: placing an order need not read it anew."""

    def __init__(self, seconds: float = FRESH_SECONDS) -> None:
        self._seconds = seconds
        self._menu: Menu | None = None
        self._read_at = 0.0

    def get(self, connection: Connection) -> Menu:
        """Give the menu as it was at most so many seconds ago."""
        now = time.monotonic()  # which nobody sets back
        if self._menu is None or now - self._read_at > self._seconds:
            self._menu, self._read_at = read(connection), now
        return self._menu
