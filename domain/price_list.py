"""Price lists: the menu as a CSV file, and what a file changes about the menu."""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from sqlalchemy import Connection, text

from domain import menu, sheet
from domain.fields import MAX_NAME
from domain.menu import MAX_INGREDIENTS, MAX_PRICE, MAX_TAKEN
from domain.sheet import CellError, DateOrder, Line, SheetError

_COLUMNS = ("category", "name", "size", "price", "description", "vegetarian", "recipe")
_NEEDED = ("name", "size", "price")
_ABOUT = ("category", "description", "vegetarian")
"""What is said of a pizza, whatever its size."""

_INGREDIENT = re.compile(r"(\S+) ([1-9][0-9]{0,11})")
_YES_OR_NO = {"yes": True, "no": False, "": False}

Recipe = Mapping[str, int]
"""Ingredient id → quantity in its unit; an empty one takes nothing from the store."""


class PriceListError(Exception):
    """Lines of a file cannot be imported; ``problems`` holds a sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(slots=True)
class Listed:
    """A pizza as a file lists it; None and no recipe: the file does not say. ``line`` is the first that names it."""

    line: int
    category: str | None
    description: str | None
    vegetarian: bool | None
    prices: dict[str, tuple[Decimal, int]] = field(default_factory=dict)
    """Size name → price, and the line that says so."""
    recipes: dict[str, Recipe] = field(default_factory=dict)
    others: set[tuple[str, Decimal]] = field(default_factory=set)
    """Prices that contradict those above, each told once: a till's export repeats them on every line."""


PriceList = Mapping[str, Listed]
"""Pizza name → what is listed of it, in the file's order."""


def read(path: str, *, as_of: date | None = None, dates: DateOrder | None = None) -> PriceList:
    """Read a price list, or a till's export: the same price may be there many times.

    ``as_of``: of the sales up to this day the last price holds; otherwise all prices of a pizza and size must agree.
    Raises SheetError, or PriceListError with every line that cannot be imported.
    """
    lines = sheet.read(path, (*_COLUMNS, "date"), (*_NEEDED, "date") if as_of else _NEEDED)
    if as_of:
        lines = _until(lines, as_of, dates or sheet.date_order(path, lines))
    if not lines:
        raise SheetError(f"{path} lists no pizza{f' sold by {as_of}' if as_of else ''}.")
    found: dict[str, Listed] = {}
    problems = []
    for line in lines:
        try:
            _add(found, line, changes=as_of is not None)
        except CellError as error:
            problems.append(f"Line {line.number}: {error}.")
    if problems:
        raise PriceListError(problems)
    return found


def _until(lines: Sequence[Line], as_of: date, order: DateOrder | None) -> list[Line]:
    """Give the sales up to a day, the oldest first."""
    dated, problems = [], []
    for line in lines:
        try:
            dated.append((sheet.day(line.cells.get("date", ""), order), line))
        except CellError as error:
            problems.append(f"Line {line.number}: {error}.")
    if problems:
        raise PriceListError(problems)
    return [line for day, line in sorted(dated, key=lambda pair: pair[0]) if day <= as_of]


def _add(found: dict[str, Listed], line: Line, *, changes: bool) -> None:
    """Add one line. Raises CellError."""
    if line.problem:
        raise CellError(line.problem)
    name, size = line.text("name", MAX_NAME, "name"), line.text("size", MAX_NAME, "size")
    price = sheet.money(line.cells["price"])
    if price > MAX_PRICE:
        raise CellError(f"the price is above {MAX_PRICE}")
    vegetarian = line.cells.get("vegetarian")
    if vegetarian is not None and vegetarian.casefold() not in _YES_OR_NO:
        raise CellError("vegetarian is yes or no")
    pizza = Listed(
        line.number,
        line.optional("category", 80, "category"),
        line.optional("description", 500, "description"),
        None if vegetarian is None else _YES_OR_NO[vegetarian.casefold()],
    )
    recipe = _recipe(line.cells["recipe"]) if "recipe" in line.cells else None
    known = found.get(name, pizza)
    for what in _ABOUT:
        if getattr(known, what) != getattr(pizza, what):
            raise CellError(f"the {what} of {name} is not that of line {known.line}")
    before, said = known.prices.get(size, (price, line.number))
    if before != price and not changes:
        if (size, price) in known.others:
            return
        known.others.add((size, price))
        on = f" on {line.cells['date']}" if line.cells.get("date") else ""
        raise CellError(
            f"{name} {size} costs {price}{on}, but {before} on line {said}: give one price, or say --as-of which day"
        )
    if recipe is not None and known.recipes.get(size, recipe) != recipe:
        raise CellError(f"the recipe of {name} {size} is not that of line {said}")
    known.prices[size] = price, said if before == price else line.number
    if recipe is not None:
        known.recipes[size] = recipe
    found[name] = known


def _recipe(cell: str) -> Recipe:
    """Read such as ``dough 250; tomato 90``."""
    recipe: dict[str, int] = {}
    for part in cell.split(";") if cell else ():
        ingredient = _INGREDIENT.fullmatch(part.strip())
        if not ingredient or ingredient[1] in recipe:
            raise CellError("a recipe is written like “dough 250; tomato 90”, each ingredient once")
        recipe[ingredient[1]] = int(ingredient[2])
    if any(quantity > MAX_TAKEN for quantity in recipe.values()):
        raise CellError(f"a recipe takes at most {MAX_TAKEN} of an ingredient")
    if len(recipe) > MAX_INGREDIENTS:
        raise CellError(f"a recipe takes at most {MAX_INGREDIENTS} ingredients")
    return recipe


def export(connection: Connection) -> str:
    """Write the menu as ``read`` reads it; columns that no pizza needs are left out."""
    present = menu.read(connection)
    recipes: dict[tuple[str, str], list[str]] = {}
    for row in connection.execute(
        text("SELECT pizza_id, size_id, ingredient_id, quantity FROM recipes ORDER BY ingredient_id")
    ):
        recipes.setdefault((row.pizza_id, row.size_id), []).append(f"{row.ingredient_id} {row.quantity}")
    optional: Mapping[str, Callable[[menu.Pizza, str], str]] = {
        "description": lambda pizza, _: pizza.description,
        "vegetarian": lambda pizza, _: "yes" if pizza.vegetarian else "",
        "recipe": lambda pizza, size: "; ".join(recipes.get((pizza.id, size), ())),
    }
    offers = [(pizza, size, price) for pizza in present.pizzas.values() for size, price in pizza.prices.items()]
    used = [name for name, cell in optional.items() if any(cell(pizza, size) for pizza, size, _ in offers)]
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(("category", "name", "size", "price", *used))
    for pizza, size, price in offers:
        more = (optional[name](pizza, size) for name in used)
        writer.writerow((pizza.category or "", pizza.name, present.sizes[size].name, price, *more))
    return written.getvalue()
