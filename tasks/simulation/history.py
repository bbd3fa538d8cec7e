"""The history of another till: its export, one row for each pizza, read without guessing anything."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from urllib.parse import quote

from domain import sheet
from domain.sheet import CellError, DateOrder, Line

_NEEDED = ("order", "date", "time", "name", "size", "price")
_COLUMNS = (*_NEEDED, "quantity", "total")
_LONGEST_ORDER = 120
"""So long an order's number may be, written as part of a key; keys have 200 characters."""
_MOST = 999


@dataclass(frozen=True, slots=True)
class Row:
    """One row: so many pizzas of a kind at a price each. ``at`` is the other till's local time."""

    line: int
    order: str
    at: datetime
    name: str
    size: str
    price: Decimal
    quantity: int


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A row that cannot be placed, and why; ``row`` is None where it cannot even be read."""

    line: int
    reason: str
    row: Row | None = None


@dataclass(frozen=True, slots=True)
class Sale:
    """An order of the other till: the rows with one number and one day."""

    order: str
    at: datetime
    rows: tuple[Row, ...]

    @property
    def key(self) -> str:
        """The order's idempotency key. The day belongs to it: some tills begin with 1 every day, or every year."""
        return f"history-{self.at.date()}-{quote(self.order, safe='')}"


def read(path: str, dates: DateOrder | None) -> tuple[list[Row], list[Unplaced]]:
    """Read an export: what can be read, and what cannot. Raises SheetError where that is the whole file."""
    lines = sheet.read(path, _COLUMNS, _NEEDED)
    order = dates or sheet.date_order(path, lines)
    rows, unplaced = [], []
    for line in lines:
        try:
            rows.append(_row(line, order))
        except CellError as error:
            unplaced.append(Unplaced(line.number, str(error)))
    return rows, unplaced


def _row(line: Line, dates: DateOrder | None) -> Row:
    if line.problem:
        raise CellError(line.problem)
    order = line.text("order", _LONGEST_ORDER, "order's number")
    if len(quote(order, safe="")) > _LONGEST_ORDER:
        raise CellError("the order's number is too long")
    day = sheet.day(line.cells["date"], dates)
    row = Row(
        line=line.number,
        order=order,
        at=datetime.combine(day, sheet.clock_time(line.cells["time"])),
        name=line.text("name", 80, "name"),
        size=line.text("size", 40, "size"),
        price=sheet.money(line.cells["price"]),
        quantity=_quantity(line.cells.get("quantity", "1")),
    )
    if "total" in line.cells and sheet.money(line.cells["total"]) != row.price * row.quantity:
        raise CellError(f"{row.quantity} at {row.price} are not the {line.cells['total']} that it says in all")
    return row


def _quantity(cell: str) -> int:
    if not (cell.isascii() and cell.isdigit() and len(cell) < 5 and 0 < int(cell) <= _MOST):
        raise CellError(f"a quantity is a whole number from 1 to {_MOST}")
    return int(cell)


def sales(rows: Iterable[Row], since: date | None, until: date | None) -> list[Sale]:
    """Give the orders of these days, first and last included, by time; those of one time as they stand in the file."""
    found: dict[tuple[date, str], list[Row]] = {}
    for row in rows:
        day = row.at.date()
        if (since is None or since <= day) and (until is None or day <= until):
            found.setdefault((day, row.order), []).append(row)
    orders = [Sale(of[0].order, min(row.at for row in of), tuple(of)) for of in found.values()]
    return sorted(orders, key=lambda sale: sale.at)
