"""What was sold by day, pizza and size: by another till's file, and by the shop that its orders were placed in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from tasks.simulation.fitting import Card, Fitted
from tasks.simulation.following import Seen
from tasks.simulation.history import Row, Unplaced

Kind = tuple[date, str, str]
"""The file's day, the name of a pizza and that of its size."""


@dataclass(slots=True)
class Sum:
    """So many pizzas, and what they cost together."""

    pizzas: int = 0
    amount: Decimal = Decimal("0.00")

    def add(self, pizzas: int, amount: Decimal) -> None:
        """Add some pizzas that cost so much together."""
        self.pizzas += pizzas
        self.amount += amount

    def as_json(self) -> dict[str, Any]:
        """Give both, money as text."""
        return {"pizzas": self.pizzas, "sum": f"{self.amount:.2f}"}


@dataclass(slots=True)
class Compared:
    """One kind of pizza on one day: what the file says, what of that could not be placed, and what the shop says."""

    file: Sum = field(default_factory=Sum)
    unplaced: Sum = field(default_factory=Sum)
    shop: Sum = field(default_factory=Sum)

    @property
    def holds(self) -> bool:
        """Tell whether the shop sold what the file says, but for what is listed as not placed."""
        return (self.file.pizzas - self.unplaced.pizzas, self.file.amount - self.unplaced.amount) == (
            self.shop.pizzas,
            self.shop.amount,
        )


@dataclass(frozen=True, slots=True)
class Sold:
    """All kinds of all days, sorted, and the rows that were not sold."""

    kinds: Mapping[Kind, Compared]
    unplaced: Sequence[Unplaced]

    @property
    def equal(self) -> bool:
        """Tell whether every count and sum is the file's, but for what is listed."""
        return all(compared.holds for compared in self.kinds.values())

    def total(self, what: str) -> Sum:
        """Sum up ``file``, ``unplaced`` or ``shop``."""
        whole = Sum()
        for compared in self.kinds.values():
            part: Sum = getattr(compared, what)
            whole.add(part.pizzas, part.amount)
        return whole

    def as_json(self) -> dict[str, Any]:
        """Give everything under its public names."""
        return {
            "equal": self.equal,
            **{what: self.total(what).as_json() for what in ("file", "unplaced", "shop")},
            "by_day": [
                {"day": day.isoformat(), "pizza": name, "size": size}
                | {what: getattr(compared, what).as_json() for what in ("file", "unplaced", "shop")}
                for (day, name, size), compared in self.kinds.items()
            ],
            "rows_not_placed": [{"line": one.line, "reason": one.reason} for one in self.unplaced],
        }


def compare(
    rows: Iterable[Row],
    unplaced: Iterable[Unplaced],
    placed: Iterable[tuple[Fitted, str | None, str | None]],
    seen: Mapping[str, Seen],
    card: Card,
) -> Sold:
    """Compare the file's rows with what the shop says of each order's id; an order without one has its problem.

    What the shop cancelled it did not sell: those rows are listed too.
    """
    kinds: dict[Kind, Compared] = {}
    missing = list(unplaced)
    for row in rows:
        _of(kinds, row).file.add(row.quantity, row.price * row.quantity)
    for order, order_id, problem in placed:
        found = seen.get(order_id or "")
        if found is None or found.status == "cancelled":
            reason = problem or (f"cancelled: {found.reason}" if found else "placed, but the shop cannot show it")
            missing += [Unplaced(row.line, reason, row) for row in order.rows]
            continue
        for item in found.items:
            kind = (
                order.sale.at.date(),
                card.names.get(item["pizza"], item["name"]),
                card.sizes.get(item["size"], item["size"]),
            )
            compared = kinds.setdefault(kind, Compared())
            compared.shop.add(item["quantity"], Decimal(item["line_total"]))
    for one in missing:
        if one.row:
            _of(kinds, one.row).unplaced.add(one.row.quantity, one.row.price * one.row.quantity)
    return Sold(dict(sorted(kinds.items())), sorted(missing, key=lambda one: one.line))


def _of(kinds: dict[Kind, Compared], row: Row) -> Compared:
    return kinds.setdefault((row.at.date(), row.name, row.size), Compared())


def table(sold: Sold) -> Iterable[str]:
    """Write everything as lines: each kind of each day, then what was not placed, then the sums."""
    widest = max((len(name) for _, name, _ in sold.kinds), default=5)
    sizes = max((len(size) for _, _, size in sold.kinds), default=4)
    yield f"{'Day':<10}  {'Pizza':<{widest}}  {'Size':<{max(4, sizes)}}  {'File':>18}  {'Shop':>18}"
    for (day, name, size), compared in sold.kinds.items():
        mark = "" if compared.file == compared.shop else "  not placed" if compared.holds else "  DIFFERENT"
        figures = f"{_figures(compared.file):>18}  {_figures(compared.shop):>18}"
        yield f"{day}  {name:<{widest}}  {size:<{max(4, sizes)}}  {figures}{mark}"
    if sold.unplaced:
        yield f"\nRows that were not placed: {len(sold.unplaced)}"
        yield from (f"line {one.line}: {one.reason}" for one in sold.unplaced)
    yield ""
    for what, called in (("file", "File"), ("unplaced", "Not placed"), ("shop", "Shop")):
        yield f"{called:<11} {_figures(sold.total(what)):>24}"
    yield (
        "Day by day, pizza by pizza and size by size, the shop's counts and sums are the file's"
        + (", but for the rows that were not placed." if sold.unplaced else ".")
        if sold.equal
        else "The shop's counts and sums are NOT the file's: see the lines marked DIFFERENT."
    )


def _figures(of: Sum) -> str:
    return f"{of.pizzas} {of.amount:12,.2f}"
