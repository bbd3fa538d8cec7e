"""Bringing the menu up to a price list: all of it or nothing, and nothing where it says the same already."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from domain import register
from domain.kernel.unit_of_work import UnitOfWork
from domain.menu import MAX_SIZES
from domain.price_list import Listed, PriceList, PriceListError, Recipe
from domain.sheet import MAX_ID, slug

_STEPS = (
    {"xs", "extra-small", "mini"},
    {"s", "small"},
    {"m", "medium", "regular"},
    {"l", "large"},
    {"xl", "extra-large", "x-large"},
    {"xxl", "2xl", "xx-large"},
    {"xxxl", "3xl", "xxx-large"},
)
"""Sizes whose order everybody knows; others keep that in which they come up."""

Offer = tuple[str, str]
"""A pizza's id and a size's."""


@dataclass(slots=True)
class Changes:
    """What an import did, in words; each list is empty where nothing of its kind was done."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.retired)


def apply(work: UnitOfWork, listed: PriceList, *, replace: bool) -> Changes:
    """Bring the menu up to a price list; with ``replace`` what it does not list is retired.

    What is retired cannot be ordered any more; orders keep what they were sold for. A size's recipe changes only where
    the list has recipes. Raises PriceListError, and then nothing is changed.
    """
    register.alone(work)
    work.run("LOCK TABLE pizzas, sizes, prices, recipes IN SHARE ROW EXCLUSIVE MODE")
    return _Menu(work).follow(listed, replace=replace)


class _Menu:
    """The menu's tables, as they are and as they are to be."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._sizes = {row.id: row.name for row in work.run("SELECT id, name FROM sizes ORDER BY rank")}
        self._pizzas: dict[str, dict[str, Any]] = {
            row.id: dict(row._mapping)
            for row in work.run(
                "SELECT id, name, description, vegetarian, rank, category FROM pizzas ORDER BY rank, id"
            )
        }
        rows = work.run("SELECT pizza_id, size_id, price, retired FROM prices").all()
        self._prices: dict[Offer, Decimal] = {(r.pizza_id, r.size_id): r.price for r in rows if not r.retired}
        self._recipes: dict[Offer, dict[str, int]] = {}
        for row in work.run("SELECT pizza_id, size_id, ingredient_id, quantity FROM recipes"):
            self._recipes.setdefault((row.pizza_id, row.size_id), {})[row.ingredient_id] = row.quantity
        self._ingredients = set(work.column("SELECT id FROM ingredients WHERE NOT retired"))
        self._changes = Changes()

    def follow(self, listed: PriceList, *, replace: bool) -> Changes:
        sizes = _ids(
            ((size, line) for pizza in listed.values() for size, (_, line) in pizza.prices.items()), self._sizes
        )
        pizzas = _ids(
            ((name, pizza.line) for name, pizza in listed.items()),
            {key: pizza["name"] for key, pizza in self._pizzas.items()},
        )
        self._know_ingredients(listed)
        self._count_sizes(listed, pizzas, sizes, replace=replace)
        self._write_sizes(sizes)
        self._write_pizzas(listed, pizzas, replace=replace)
        self._write_prices(listed, pizzas, sizes)
        self._write_recipes(listed, pizzas, sizes)
        self._bring_back(pizzas, sizes)
        if replace:
            self._retire({(pizzas[name], sizes[size]) for name, pizza in listed.items() for size in pizza.prices})
        return self._changes

    def _know_ingredients(self, listed: PriceList) -> None:
        problems = [
            f"Line {pizza.prices[size][1]}: the store has no ingredient called {ingredient}."
            for pizza in listed.values()
            for size, recipe in pizza.recipes.items()
            for ingredient in recipe
            if ingredient not in self._ingredients
        ]
        if problems:
            raise PriceListError(problems)

    def _count_sizes(
        self, listed: PriceList, pizzas: Mapping[str, str], sizes: Mapping[str, str], *, replace: bool
    ) -> None:
        there: dict[str, set[str]] = {}
        for pizza_id, size in () if replace else self._prices:
            there.setdefault(pizza_id, set()).add(size)
        problems = [
            f"Line {pizza.line}: {name} comes in {len(found)} sizes then, and {MAX_SIZES} is the most."
            for name, pizza in listed.items()
            if len(found := there.get(pizzas[name], set()) | {sizes[size] for size in pizza.prices}) > MAX_SIZES
        ]
        if problems:
            raise PriceListError(problems)

    def _write_sizes(self, wanted: Mapping[str, str]) -> None:
        sizes = _in_order(self._sizes | {size: name for name, size in wanted.items()}, known=len(self._sizes))
        if list(sizes.items()) == list(self._sizes.items()):
            return
        for size, name in sizes.items():
            if size not in self._sizes:
                self._changes.added.append(f"Size {name}")
            elif self._sizes[size] != name:
                self._changes.changed.append(f"Size {self._sizes[size]}: now called {name}")
        if [size for size in sizes if size in self._sizes] != list(self._sizes):
            self._changes.changed.append(f"The order of the sizes: {', '.join(sizes.values())}")
        self._work.run("UPDATE sizes SET rank = -rank")  # ranks are unique, and some of them move
        rows = [{"id": size, "name": name, "rank": rank} for rank, (size, name) in enumerate(sizes.items(), 1)]
        self._work.insert("sizes", rows, "(id) DO UPDATE SET name = excluded.name, rank = excluded.rank")

    def _write_pizzas(self, listed: PriceList, ids: Mapping[str, str], *, replace: bool) -> None:
        wanted = {ids[name]: _about(name, pizza) for name, pizza in listed.items()}
        order = list(dict.fromkeys([*wanted, *self._pizzas] if replace else [*self._pizzas, *wanted]))
        if [key for key in order if key in self._pizzas] != list(self._pizzas):
            self._changes.changed.append("The order of the pizzas")
        ranks = {key: rank for rank, key in enumerate(order, 1)}
        rows = []
        for key, rank in ranks.items():
            before = self._pizzas.get(key)
            after = _NEW | (before or {}) | wanted.get(key, {}) | {"id": key, "rank": rank}
            if after != before:
                rows.append(after)
            if before is not None:
                self._tell(before, after)
        self._work.insert(
            "pizzas",
            rows,
            "(id) DO UPDATE SET name = excluded.name, description = excluded.description, rank = excluded.rank,"
            " vegetarian = excluded.vegetarian, category = excluded.category",
        )

    def _tell(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        if before["name"] != after["name"]:
            self._changes.changed.append(f"{before['name']}: now called {after['name']}")
        self._changes.changed += [
            f"{after['name']}: another {what}"
            for what in ("category", "description", "vegetarian")
            if before[what] != after[what]
        ]

    def _write_prices(self, listed: PriceList, pizzas: Mapping[str, str], sizes: Mapping[str, str]) -> None:
        rows = []
        for name, pizza in listed.items():
            for size, (price, _) in pizza.prices.items():
                offer = pizzas[name], sizes[size]
                before = self._prices.get(offer)
                if before is None:
                    self._changes.added.append(f"{name} {size}: {price}")
                elif before != price:
                    self._changes.changed.append(f"{name} {size}: {price}, was {before}")
                if before != price:
                    rows.append({"pizza_id": offer[0], "size_id": offer[1], "price": price, "retired": False})
        self._work.insert(
            "prices", rows, "(pizza_id, size_id) DO UPDATE SET price = excluded.price, retired = excluded.retired"
        )

    def _write_recipes(self, listed: PriceList, pizzas: Mapping[str, str], sizes: Mapping[str, str]) -> None:
        changed: dict[Offer, Recipe] = {}
        for name, pizza in listed.items():
            for size, recipe in pizza.recipes.items():
                offer = pizzas[name], sizes[size]
                if self._recipes.get(offer, {}) != recipe:
                    changed[offer] = recipe
                    self._changes.changed.append(f"{name} {size}: another recipe")
        self._work.run(
            "DELETE FROM recipes r USING unnest(CAST(:pizzas AS text[]), CAST(:sizes AS text[])) AS c (pizza, size)"
            " WHERE r.pizza_id = c.pizza AND r.size_id = c.size",
            pizzas=[pizza for pizza, _ in changed],
            sizes=[size for _, size in changed],
        )
        rows = [
            {"pizza_id": pizza, "size_id": size, "ingredient_id": ingredient, "quantity": quantity}
            for (pizza, size), recipe in changed.items()
            for ingredient, quantity in recipe.items()
        ]
        self._work.insert("recipes", rows)

    def _bring_back(self, pizzas: Mapping[str, str], sizes: Mapping[str, str]) -> None:
        """Put what is listed on the menu again, should the staff have retired it."""
        for table, ids in (("pizzas", pizzas), ("sizes", sizes)):
            self._changes.added += self._work.column(
                f"UPDATE {table} SET retired = false WHERE retired AND id = ANY(:ids) RETURNING name",
                ids=sorted(ids.values()),
            )

    def _retire(self, kept: set[Offer]) -> None:
        gone = sorted(self._prices.keys() - kept)
        self._changes.retired += [f"{self._pizzas[pizza]['name']} {self._sizes[size]}" for pizza, size in gone]
        self._work.run(
            "UPDATE prices p SET retired = true"
            " FROM unnest(CAST(:pizzas AS text[]), CAST(:sizes AS text[])) AS g (pizza, size)"
            " WHERE p.pizza_id = g.pizza AND p.size_id = g.size",
            pizzas=[pizza for pizza, _ in gone],
            sizes=[size for _, size in gone],
        )


_NEW: dict[str, Any] = {"description": "", "vegetarian": False, "category": None}


def _about(name: str, pizza: Listed) -> dict[str, Any]:
    """Give what a list says of a pizza; what it does not say stays."""
    said: dict[str, Any] = {"name": name}
    if pizza.category is not None:
        said["category"] = pizza.category or None
    if pizza.description is not None:
        said["description"] = pizza.description
    if pizza.vegetarian is not None:
        said["vegetarian"] = pizza.vegetarian
    return said


def _ids(names: Iterable[tuple[str, int]], known: Mapping[str, str]) -> dict[str, str]:
    """Give each name its id: that of what is called so already, or one made of the name.

    Raises PriceListError where two names would be one thing, or a name makes no id.
    """
    called = {name: key for key, name in known.items()}
    found: dict[str, str] = {}
    owner: dict[str, tuple[str, int]] = {}
    problems = []
    for name, line in names:
        if name in found:
            continue
        key = called.get(name) or slug(name)
        found[name] = key
        if not 0 < len(key) <= MAX_ID:
            why = (
                "has neither letters nor digits" if not key else f"is too long: its id takes more than {MAX_ID} letters"
            )
            problems.append(f"Line {line}: the name {name} {why}.")
        elif key in owner:
            other, first = owner[key]
            problems.append(f"Line {line}: {name} and {other} (line {first}) would be one and the same, {key}.")
        else:
            owner[key] = name, line
    if problems:
        raise PriceListError(problems)
    return found


def _in_order(sizes: Mapping[str, str], known: int) -> dict[str, str]:
    """Put sizes into the order that everybody knows; failing that, leave the first ``known`` and order the others."""

    def step(size: str) -> int | None:
        return next((number for number, names in enumerate(_STEPS) if size in names), None)

    ids: Sequence[str] = list(sizes)
    for settled in (0, known):
        rest = [(step(size), size) for size in ids[settled:]]
        if all(number is not None for number, _ in rest):
            ids = [*ids[:settled], *(size for _, size in sorted(rest, key=lambda pair: pair[0] or 0))]
            break
    return {size: sizes[size] for size in ids}
