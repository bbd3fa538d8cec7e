"""What a customer asks for: its lines, what they cost by the menu, and how long they take."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import msgspec

from domain.customers import Contact
from domain.events import OrderItem
from domain.menu import Menu
from domain.money import rounded
from domain.settings import Settings

MAX_LINES = 50
MAX_PIZZAS = 100
MAX_QUANTITY = 20
"""Of a kind on one line; more are more lines."""
MAX_SUBTOTAL = Decimal("4999999999.99")
"""What an order's pizzas come to at the most: with the tax on it, which is always less than as much again, it can be
kept and paid."""


class InvalidOrderError(Exception):
    """What was asked for cannot be ordered. ``problems`` maps a field, such as ``items.0.pizza``, to what is wrong."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in problems.items()))
        self.problems = problems


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what is asked for: so many pizzas of a kind."""

    pizza: str
    size: str
    quantity: int
    toppings: tuple[str, ...] = ()
    note: str | None = None


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer asks for, well formed but not yet known to be on the menu."""

    contact: Contact
    fulfilment: str
    payment: str
    lines: tuple[Line, ...]
    address: str | None = None
    note: str | None = None
    card_token: str | None = None
    language: str | None = None

    def digest(self) -> bytes:
        """Tell two requests apart that came with one idempotency key."""
        asked = msgspec.to_builtins(self)
        for later in ("card_token", "language"):
            if asked[later] is None:  # as it was before there was such a field: a key used then is good now
                del asked[later]
        return hashlib.sha256(msgspec.json.encode(asked)).digest()


def price(lines: Sequence[Line], menu: Menu) -> tuple[OrderItem, ...]:
    """Price what is asked for by the menu. Raises InvalidOrderError with a problem per field."""
    problems: dict[str, str] = {}
    items = []
    for index, line in enumerate(lines):
        field = f"items.{index}"
        pizza = menu.pizzas.get(line.pizza)
        unknown = [topping for topping in line.toppings if topping not in menu.toppings]
        if pizza is None:
            problems[f"{field}.pizza"] = "There is no such pizza on the menu."
        elif pizza.sold_out:
            problems[f"{field}.pizza"] = f"{pizza.name} is sold out."
        elif line.size not in pizza.prices:
            problems[f"{field}.size"] = f"{pizza.name} does not come in this size."
        elif line.size in pizza.sold_out_sizes:
            problems[f"{field}.size"] = f"{pizza.name} is sold out in this size."
        for topping in unknown:
            problems[f"{field}.toppings.{line.toppings.index(topping)}"] = "There is no such topping."
        if pizza is None or unknown or line.size not in pizza.prices:
            continue
        extras = sum((menu.toppings[topping].price for topping in line.toppings), Decimal(0))
        items.append(
            OrderItem(
                pizza=pizza.id,
                name=pizza.name,
                size=line.size,
                quantity=line.quantity,
                unit_price=pizza.prices[line.size] + extras,
                toppings=line.toppings,
                note=line.note,
                size_name=menu.sizes[line.size].name,
                topping_names=tuple(menu.toppings[topping].name for topping in line.toppings),
            )
        )
    if sum(item.unit_price * item.quantity for item in items) > MAX_SUBTOTAL:
        problems["items"] = "This comes to more than one order may: order less at once, or call us."
    if problems:
        raise InvalidOrderError(problems)
    return tuple(items)


@dataclass(frozen=True, slots=True)
class Sums:
    """What an order comes to, in the shop's currency: the tax is on the subtotal."""

    subtotal: Decimal
    tax: Decimal

    @property
    def total(self) -> Decimal:
        """What is to be paid."""
        return self.subtotal + self.tax


def sums(items: Iterable[OrderItem], settings: Settings) -> Sums:
    """Sum up what is asked for, each sum rounded to what can be paid in the shop's currency."""
    subtotal = rounded(sum((item.unit_price * item.quantity for item in items), Decimal(0)), settings.currency)
    return Sums(subtotal, rounded(subtotal * settings.tax_rate, settings.currency))


def preparation_time(items: Iterable[OrderItem], menu: Menu, settings: Settings) -> timedelta:
    """Estimate how long the kitchen takes: one bake, and a tenth of it more for each pizza, a larger one counting more.

    A pizza of the smallest size counts 1, of the next 1.25, and so on. Whole seconds, at least one.
    """
    weight = {size: 1 + 0.25 * rank for rank, size in enumerate(menu.sizes)}
    hands = sum(weight.get(item.size, 1) * item.quantity for item in items)
    return timedelta(seconds=max(1, math.ceil(settings.bake_seconds * (1 + hands / 10))))
