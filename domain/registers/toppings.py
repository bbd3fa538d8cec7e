"""Toppings: extras for a pizza of any size."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from domain.entry import Ask, Entry, Money, Name, Position, Retired
from domain.fields import Id
from domain.menu import MAX_TAKEN
from domain.register import Register


class Topping(Entry):
    """An extra, its price, and what it takes from the store; a retired one cannot be ordered."""

    name: Name
    price: Annotated[Money, Field(le=Decimal("999999.99")), Ask("Price", "Give a price, such as “1.50”.", "money")]
    position: Position = None
    ingredient: Annotated[
        Id,
        Field(description="The id of an ingredient"),
        Ask(
            "Ingredient",
            "Choose an ingredient that is not retired.",
            "choice",
            column="ingredient_id",
            of="ingredients",
        ),
    ]
    quantity: Annotated[
        int,
        Field(ge=1, le=MAX_TAKEN),
        Ask("So much of it", f"Give a whole number from 1 to {MAX_TAKEN}.", "number", hint="In the ingredient's unit."),
    ]
    retired: Retired = False


class Toppings(Register):
    """The register of toppings."""

    name = "toppings"
    one = "topping"
    about = "Extras for a pizza of any size."
    table = "toppings"
    entry = Topping
    order = "rank, id"


register = Toppings()
