"""Ingredients: what the store keeps. How much there is of each is counted in the store, not here."""

from typing import Annotated, Any

from pydantic import Field

from domain.entry import Ask, Entry, Name, Retired
from domain.fields import Id, Text
from domain.kernel.unit_of_work import UnitOfWork
from domain.procurement import MAX_THRESHOLD
from domain.register import Register


class Ingredient(Entry):
    """What the store keeps: in which unit, from whom, and below what quantity more is bought."""

    name: Name
    unit: Annotated[
        Text,
        Field(min_length=1, max_length=20),
        Ask("Unit", "Give a unit of at most 20 characters, such as g.", hint="Of all its quantities, such as g."),
    ]
    minimum_threshold: Annotated[
        int,
        Field(ge=0, le=MAX_THRESHOLD),
        Ask(
            "Low below",
            f"Give a whole number from 0 to {MAX_THRESHOLD}.",
            "number",
            hint="With less than that, more is bought.",
        ),
    ]
    supplier: Annotated[
        Id,
        Field(description="The id of a supplier"),
        Ask("Supplier", "Choose a supplier who is not retired.", "choice", column="supplier_id", of="suppliers"),
    ]
    retired: Retired = False


class Ingredients(Register):
    """The register of ingredients; a new one is not there until somebody counts it."""

    name = "ingredients"
    one = "ingredient"
    about = "What the store keeps, and from whom it comes."
    table = "ingredients"
    entry = Ingredient
    in_use = (
        "SELECT p.name FROM recipes r JOIN prices x USING (pizza_id, size_id) JOIN pizzas p ON p.id = r.pizza_id"
        " WHERE r.ingredient_id = :id AND NOT x.retired AND NOT p.retired"
        " UNION SELECT name FROM toppings WHERE ingredient_id = :id AND NOT retired ORDER BY 1"
    )

    def _new(self, work: UnitOfWork, entry: Any) -> dict[str, Any]:
        return super()._new(work, entry) | {"quantity": 0}


register = Ingredients()
