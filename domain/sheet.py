"""Tables that people bring along as CSV files: columns by their usual names, and cells of which nothing is guessed."""

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Literal

COLUMNS: Mapping[str, Sequence[str]] = {
    "order": ("order", "order id", "order number", "order no", "receipt", "receipt number", "transaction id"),
    "date": ("date", "order date", "day"),
    "time": ("time", "order time"),
    "category": ("category", "pizza category", "item category"),
    "name": ("name", "pizza name", "pizza", "item", "item name", "product", "product name"),
    "size": ("size", "pizza size", "item size"),
    "price": ("price", "unit price", "pizza price", "item price"),
    "quantity": ("quantity", "qty"),
    "total": ("total price", "line total"),
    "description": ("description", "ingredients", "pizza ingredients"),
    "vegetarian": ("vegetarian",),
    "recipe": ("recipe",),
}
"""What a column may be called. Capitals, blanks and signs between the words are all the same: OrderID, order_id."""

DateOrder = Literal["day-first", "month-first"]

MAX_ID = 60
"""An order names pizzas and sizes by ids that are so long at the most."""

_DELIMITERS = ",;"
_PRICE = re.compile(r"[0-9]{1,8}(?:[.,][0-9]{1,2})?")
_ISO = re.compile(r"([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})")
_WRITTEN = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")


class SheetError(Exception):
    """A file cannot be read as a table; the message is one sentence that says what to do."""


class CellError(Exception):
    """A cell does not hold what it should; the message says so."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: its number in the file, and its cells by column. ``problem``: it has not the right cells."""

    number: int
    cells: Mapping[str, str]
    problem: str | None = None

    def text(self, column: str, longest: int, called: str) -> str:
        """Give a cell that must hold text. Raises CellError."""
        found = self.cells.get(column, "")
        if not found:
            raise CellError(f"the {called} is missing")
        return self.optional(column, longest, called) or ""

    def optional(self, column: str, longest: int, called: str) -> str | None:
        """Give a cell that may be empty; None where there is no such column. Raises CellError."""
        found = self.cells.get(column)
        if found and not found.isprintable():
            raise CellError(f"the {called} holds characters that cannot be printed")
        if found and len(found) > longest:
            raise CellError(f"the {called} is longer than {longest} characters")
        return found


def read(path: str, wanted: Collection[str], needed: Sequence[str]) -> list[Line]:
    """Read a table that has the ``needed`` columns, and maybe others that are ``wanted``. Raises SheetError.

    UTF-8 with or without a byte order mark; commas or semicolons, whichever gives more columns. Blank lines are left
    out; a line with too few or too many cells is there, with its problem.
    """
    text = _text(path)
    delimiter = max(_DELIMITERS, key=lambda char: len(_titles(text, char)))
    rows = _rows(path, text, delimiter)
    _, header = next(rows, (1, []))
    columns = _columns(path, header, wanted)
    missing = [name for name in needed if name not in columns]
    if missing:
        raise SheetError(
            f"{path} has no column for the {' and the '.join(missing)}: its first line must name it, such as"
            f" {','.join(COLUMNS[name][0].replace(' ', '_') for name in needed)}."
        )
    return [_line(number, row, columns, len(header)) for number, row in rows if any(map(str.strip, row))]


def _text(path: str) -> str:
    try:
        found = Path(path).read_bytes()
    except OSError as error:
        raise SheetError(f"{path} cannot be read: {error.strerror or type(error).__name__}.") from None
    try:
        return unicodedata.normalize("NFC", found.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = found.count(b"\n", 0, error.start) + 1
        raise SheetError(f"{path}, line {line}: this is no UTF-8; save the file as CSV in UTF-8.") from None


def _titles(text: str, delimiter: str) -> list[str]:
    """Give the first line's cells, as far as they can be read with this delimiter."""
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def _columns(path: str, header: Sequence[str], wanted: Collection[str]) -> Mapping[str, int]:
    """Give the places of the columns."""
    columns: dict[str, int] = {}
    for place, title in enumerate(header):
        for column in wanted:
            if _plain(title) not in map(_plain, COLUMNS[column]):
                continue
            if column in columns:
                raise SheetError(
                    f"{path} has two columns for the {column}, {header[columns[column]].strip()} and {title.strip()}:"
                    " rename the one that is not meant."
                )
            columns[column] = place
    return columns


def _rows(path: str, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Give each row with the number of the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise SheetError(f"{path}, line {number}: {_why(error)}") from None
        yield number, row


def _why(error: csv.Error) -> str:
    """Say what is wrong where the reader stopped; it tells the two apart by its words alone."""
    if "field limit" in str(error):
        return f"a cell is longer than {csv.field_size_limit()} characters; is a quotation mark never closed?"
    return "a quotation mark is out of place or never closed."


def _line(number: int, row: Sequence[str], columns: Mapping[str, int], width: int) -> Line:
    cells = {column: row[place].strip() for column, place in columns.items() if place < len(row)}
    problem = None if len(row) == width else f"the line has {len(row)} cells, the first line has {width}"
    return Line(number, cells, problem)


def _plain(title: str) -> str:
    return "".join(char for char in title.casefold() if char.isalnum())


def slug(name: str) -> str:
    """Make an id of a name: small letters and digits, without accents where that leaves Latin letters; may be empty."""
    plain = []
    for char in name.casefold():
        latin = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode().lower()
        plain.append(latin or (char if char.isalnum() else " "))
    return "-".join(re.findall(r"[^\W_]+", "".join(plain)))


def money(cell: str) -> Decimal:
    """Read a price above zero, with a point or a comma before its cents. Raises CellError."""
    if not _PRICE.fullmatch(cell):
        raise CellError(f"{_shown(cell)} is no price such as 12.50")
    amount = Decimal(cell.replace(",", ".")).quantize(Decimal("0.01"))
    if not amount:
        raise CellError("the price is zero")
    return amount


def clock_time(cell: str) -> time:
    """Read a time such as 18:05 or 18:05:30. Raises CellError."""
    if found := _TIME.fullmatch(cell):
        try:
            return time(int(found[1]), int(found[2]), int(found[3] or 0))
        except ValueError:
            pass
    raise CellError(f"{_shown(cell)} is no time such as 18:05 or 18:05:30")


def day(cell: str, order: DateOrder | None) -> date:
    """Read a date, with the year first or in this order. Raises CellError."""
    iso, written = _ISO.fullmatch(cell), _WRITTEN.fullmatch(cell)
    try:
        if iso:
            return date(int(iso[1]), int(iso[3]), int(iso[4]))
        if written and order == "month-first":
            return date(int(written[4]), int(written[1]), int(written[3]))
        if written:
            return date(int(written[4]), int(written[3]), int(written[1]))
    except ValueError:
        pass
    raise CellError(f"{_shown(cell)} is no date such as 2026-01-31" + (f", {order}" if written and order else ""))


def date_order(path: str, lines: Sequence[Line]) -> DateOrder | None:
    """Find out by all the dates of a file which of day and month comes first; None where every year comes first.

    Raises SheetError where they do not tell, or some tell this and some that.
    """
    first: dict[str, Line] = {}
    for line in lines:
        if found := _WRITTEN.fullmatch(line.cells.get("date", "")):
            one, two = int(found[1]), int(found[3])
            first.setdefault("day-first" if one > 12 else "month-first" if two > 12 else "either", line)
    if "day-first" in first and "month-first" in first:
        one_line, other = first["day-first"], first["month-first"]
        raise SheetError(
            f"{path} has the day first on line {one_line.number} ({_shown(one_line.cells['date'])}) and the month first"
            f" on line {other.number} ({_shown(other.cells['date'])}): say --dates day-first or --dates month-first."
        )
    if "day-first" in first:
        return "day-first"
    if "month-first" in first:
        return "month-first"
    if "either" in first:
        raise SheetError(
            f"{path} has dates such as {_shown(first['either'].cells['date'])} (line {first['either'].number}), and"
            " none tells the day from the month: say --dates day-first or --dates month-first."
        )
    return None


def _shown(cell: str) -> str:
    """Give a cell as a message shows it: short, and nothing that cannot be printed."""
    plain = "".join(char if char.isprintable() else "?" for char in cell)
    return f"“{plain[:40]}{'…' if len(plain) > 40 else ''}”" if plain else "an empty cell"
