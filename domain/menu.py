"""The menu: pizzas, sizes, toppings and what they cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, text

from domain.kernel import clock


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
    prices: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Menu:
    """All that can be ordered, in the menu's own order."""

    pizzas: Mapping[str, Pizza]
    sizes: Mapping[str, Size]
    toppings: Mapping[str, Topping]


def read(connection: Connection) -> Menu:
    """Read the menu."""
    prices: dict[str, dict[str, Decimal]] = {}
    for row in connection.execute(
        text("SELECT p.pizza_id, p.size_id, p.price FROM prices p JOIN sizes s ON s.id = p.size_id ORDER BY s.rank")
    ):
        prices.setdefault(row.pizza_id, {})[row.size_id] = row.price
    pizzas = connection.execute(text("SELECT id, name, description, vegetarian, sold_out FROM pizzas ORDER BY rank"))
    sizes = connection.execute(text("SELECT id, name FROM sizes ORDER BY rank"))
    toppings = connection.execute(text("SELECT id, name, price FROM toppings ORDER BY rank"))
    return Menu(
        {r.id: Pizza(r.id, r.name, r.description, r.vegetarian, r.sold_out, prices.get(r.id, {})) for r in pizzas},
        {r.id: Size(r.id, r.name) for r in sizes},
        {r.id: Topping(r.id, r.name, r.price) for r in toppings},
    )


class CachedMenu:
    """The menu, read again when it is older than so many seconds: placing an order need not read it anew."""

    def __init__(self, seconds: float = 2) -> None:
        self._seconds = seconds
        self._menu: Menu | None = None
        self._read_at = 0.0

    def get(self, connection: Connection) -> Menu:
        """Give the menu as it was at most so many seconds ago."""
        now = clock.now().timestamp()
        if self._menu is None or now - self._read_at > self._seconds:
            self._menu, self._read_at = read(connection), now
        return self._menu
