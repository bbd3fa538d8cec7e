"""Pizzas: the menu, with each size's price and recipe."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from domain.entry import Ask, Entry, Money, Name, Position, Retired
from domain.fields import Id, Text, blank_is_none
from domain.kernel.unit_of_work import UnitOfWork
from domain.menu import MAX_INGREDIENTS, MAX_PRICE, MAX_SIZES, MAX_TAKEN
from domain.register import Kept, Register, WrongEntryError

_RECIPE = "Write a recipe like “dough 250; tomato 90”, with ingredients of the store that are not retired."


class Offer(Entry):
    """A pizza in one size: its price, and what it takes from the store."""

    price: Annotated[
        Money,
        Field(gt=0, le=MAX_PRICE),
        Ask("Price", "Give a price above 0, such as “12.50”."),
    ]
    recipe: Annotated[
        dict[Id, Annotated[int, Field(ge=1, le=MAX_TAKEN)]],
        Field(
            max_length=MAX_INGREDIENTS,
            description="Quantities by ingredient id; without any it takes nothing from the store",
        ),
        Ask("Recipe", _RECIPE),
    ] = Field(default_factory=dict)


class Pizza(Entry):
    """A pizza on the menu; a retired one cannot be ordered."""

    name: Name
    category: Annotated[
        Annotated[str, Field(max_length=80)] | None,
        BeforeValidator(blank_is_none),
        Ask("Category", "Give a category of at most 80 characters, or none."),
    ] = None
    description: Annotated[
        Text, Field(max_length=500), Ask("Description", "Describe it in at most 500 characters.", "long")
    ] = ""
    vegetarian: Annotated[bool, Ask("Vegetarian", "Say true or false.", "yes")] = False
    position: Position = None
    sizes: Annotated[
        dict[Id, Offer],
        Field(max_length=MAX_SIZES, description="Size ids, with price and recipe; what is left out is not sold"),
        Ask(
            "Sizes",
            "Give the sizes it comes in, each with a price and maybe a recipe.",
            "offers",
            each=Offer,
            hint="A size without a price is not sold. A recipe is written like “dough 250; tomato 90”.",
        ),
    ]
    retired: Retired = False


class Pizzas(Register):
    """The register of pizzas. What is sold out today is no matter of it."""

    name = "pizzas"
    one = "pizza"
    about = "The menu, with each size's price and recipe."
    table = "pizzas"
    entry = Pizza
    order = "rank, id"
    elsewhere: ClassVar[Mapping[str, str]] = {
        "sizes": "(SELECT coalesce(jsonb_object_agg(x.size_id, jsonb_build_object('price', CAST(x.price AS text),"
        " 'recipe', (SELECT coalesce(jsonb_object_agg(r.ingredient_id, r.quantity), '{}') FROM recipes r"
        " WHERE (r.pizza_id, r.size_id) = (x.pizza_id, x.size_id)))), '{}')"
        " FROM prices x WHERE x.pizza_id = t.id AND NOT x.retired)"
    }

    def _check(self, work: UnitOfWork, entry: Any, kept: Kept | None) -> None:
        super()._check(work, entry, kept)
        sizes = set(work.column("SELECT id FROM sizes"))
        usable = set(work.column(f"SELECT id FROM ingredients{'' if entry.retired else ' WHERE NOT retired'}"))
        for size, offer in entry.sizes.items():
            if size not in sizes:
                raise WrongEntryError("There is no such size.", f"sizes.{size}")
            if missing := sorted(offer.recipe.keys() - usable):
                raise WrongEntryError(f"The store has no {missing[0]}. {_RECIPE}", f"sizes.{size}.recipe")

    def _write_elsewhere(self, work: UnitOfWork, entry_id: str, entry: Any) -> None:
        """Write prices and recipes. A size that is no longer sold keeps its recipe: orders may be on their way."""
        sizes = list(entry.sizes)
        work.run(
            "UPDATE prices SET retired = true WHERE pizza_id = :id AND size_id <> ALL(:sizes)", id=entry_id, sizes=sizes
        )
        prices = [
            {"pizza_id": entry_id, "size_id": size, "price": offer.price, "retired": False}
            for size, offer in entry.sizes.items()
        ]
        work.insert("prices", prices, "(pizza_id, size_id) DO UPDATE SET price = excluded.price, retired = false")
        work.run("DELETE FROM recipes WHERE pizza_id = :id AND size_id = ANY(:sizes)", id=entry_id, sizes=sizes)
        recipes = [
            {"pizza_id": entry_id, "size_id": size, "ingredient_id": ingredient, "quantity": quantity}
            for size, offer in entry.sizes.items()
            for ingredient, quantity in offer.recipe.items()
        ]
        work.insert("recipes", recipes)


register = Pizzas()
