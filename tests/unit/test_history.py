"""The export of another till: read without guessing, fitted to a menu by exact names and prices, summed to the cent."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.basket import MAX_LINES, MAX_PIZZAS
from domain.sheet import SheetError
from tasks.simulation import history, sums
from tasks.simulation.fitting import Card, fit, placeholder
from tasks.simulation.following import Seen
from tasks.simulation.history import Row, Sale, Unplaced
from tests import till_export
from web.order_request import read_order

pytestmark = pytest.mark.unit

HEADER = "order_id,date,time,name,size,price,quantity,total_price"
MENU: dict[str, Any] = {
    "sizes": [{"id": "s", "name": "S"}, {"id": "xl", "name": "XL"}],
    "pizzas": [
        {"id": "hawaiian", "name": "Hawaiian", "sold_out": False, "prices": {"s": "10.50", "xl": "20.00"}},
        {"id": "greek", "name": "Greek", "sold_out": False, "prices": {"s": "9.00"}},
        {"id": "gone", "name": "Gone", "sold_out": True, "prices": {"s": "9.00"}},
        {"id": "twin-1", "name": "Twin", "sold_out": False, "prices": {"s": "9.00"}},
        {"id": "twin-2", "name": "Twin", "sold_out": False, "prices": {"s": "9.00"}},
    ],
}
CARD = Card(MENU)
AT = datetime(2026, 1, 31, 18, 5)  # noqa: DTZ001 - the other till's local time


def read(tmp_path: Path, *lines: str, header: str = HEADER) -> tuple[list[Row], list[Unplaced]]:
    path = tmp_path / "history.csv"
    path.write_text("\n".join((header, *lines)))
    return history.read(str(path), None)


def row(line: int, name: str = "Hawaiian", size: str = "S", price: str = "10.50", **changes: Any) -> Row:
    given: dict[str, Any] = {"order": "7", "at": AT, "quantity": 1}
    return Row(line=line, name=name, size=size, price=Decimal(price), **(given | changes))


def test_a_row_is_one_order_number_time_pizza_size_price_and_maybe_quantity(tmp_path: Path) -> None:
    rows, unplaced = read(
        tmp_path, "A-7,2026-01-31,18:05,Hawaiian,S,10.50,2,21.00", "A-7,2026-01-31,18:05,Greek,S,9,1,9"
    )
    assert rows == [
        row(2, order="A-7", quantity=2),
        row(3, "Greek", price="9.00", order="A-7"),
    ]
    assert unplaced == []


def test_without_a_quantity_a_row_is_one_pizza(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "7;31.01.2026;18:05:00;S;Hawaiian;10,50", header="Order ID;Day;Time;Size;Pizza;Unit Price")
    assert rows == [row(2)]


BAD = {
    "7,2026-02-30,18:05,Hawaiian,S,10.50,1,10.50": "“2026-02-30” is no date such as 2026-01-31",
    "7,2026-01-31,6 PM,Hawaiian,S,10.50,1,10.50": "“6 PM” is no time such as 18:05 or 18:05:30",
    "7,2026-01-31,18:05,Hawaiian,S,free,1,10.50": "“free” is no price such as 12.50",
    "7,2026-01-31,18:05,Hawaiian,S,10.50,0,0.00": "a quantity is a whole number from 1 to 999",
    "7,2026-01-31,18:05,Hawaiian,S,10.50,-1,10.50": "a quantity is a whole number from 1 to 999",
    "7,2026-01-31,18:05,Hawaiian,S,10.50,,10.50": "a quantity is a whole number from 1 to 999",
    "7,2026-01-31,18:05,Hawaiian,S,10.50,2,20.00": "2 at 10.50 are not the 20.00 that it says in all",
    ",2026-01-31,18:05,Hawaiian,S,10.50,1,10.50": "the order's number is missing",
    "7,2026-01-31,18:05,,S,10.50,1,10.50": "the name is missing",
    "7,2026-01-31,18:05,Hawaiian,,10.50,1,10.50": "the size is missing",
    "7,2026-01-31,18:05,Hawaiian": "the line has 4 cells, the first line has 8",
    f"{'é' * 100},2026-01-31,18:05,Hawaiian,S,10.50,1,10.50": "the order's number is too long",
}


@pytest.mark.parametrize("line", BAD)
def test_a_row_that_cannot_be_read_is_listed_with_its_line_and_reason(tmp_path: Path, line: str) -> None:
    good = "8,2026-01-31,18:05,Hawaiian,S,10.50,1,10.50"
    rows, unplaced = read(tmp_path, good, line, good)
    assert [found.line for found in rows] == [2, 4]
    assert unplaced == [Unplaced(3, BAD[line])]


def test_dates_that_do_not_tell_day_from_month_are_refused_unless_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match="say --dates"):
        read(tmp_path, "7,3/4/2026,18:05,Hawaiian,S,10.50,1,10.50")
    for order, day in (("day-first", date(2026, 4, 3)), ("month-first", date(2026, 3, 4))):
        ((found,), _) = history.read(str(tmp_path / "history.csv"), order)  # type: ignore[arg-type]
        assert found.at.date() == day


def test_an_order_is_the_rows_of_one_number_and_day_wherever_they_stand_in_order_of_time() -> None:
    late, early, next_day = AT.replace(hour=20), AT.replace(hour=12), AT.replace(month=2, day=1)
    rows = [row(2, at=late), row(3, order="8", at=early), row(4, at=AT), row(5, at=next_day)]
    orders = history.sales(rows, None, None)
    assert [(sale.order, sale.at, [one.line for one in sale.rows]) for sale in orders] == [
        ("8", early, [3]),
        ("7", AT, [2, 4]),
        ("7", next_day, [5]),
    ]
    assert len({sale.key for sale in orders}) == 3
    assert [sale.at for sale in history.sales(rows, next_day.date(), None)] == [next_day]
    assert [sale.at for sale in history.sales(rows, None, AT.date())] == [early, AT]


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.dates())
def test_an_order_has_a_key_that_the_shop_takes_and_no_other_order_has(order: str, day: date) -> None:
    key = Sale(order, datetime.combine(day, AT.time()), ()).key
    assert key.isascii() and key.isprintable() and " " not in key
    assert key != Sale(order + "1", datetime.combine(day, AT.time()), ()).key


def test_equal_pizzas_are_one_line_and_more_than_twenty_are_more_lines() -> None:
    rows = (row(2), row(3, "Greek", price="9.00"), *(row(line) for line in range(4, 50)))
    ((fitted,), unplaced) = fit([Sale("7", AT, rows)], CARD)
    assert fitted.body["items"] == [
        {"pizza": "hawaiian", "size": "s", "quantity": 20},
        {"pizza": "hawaiian", "size": "s", "quantity": 20},
        {"pizza": "hawaiian", "size": "s", "quantity": 7},
        {"pizza": "greek", "size": "s", "quantity": 1},
    ]
    assert (fitted.rows, unplaced) == (rows, [])


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(3, "hawaiian"), "there is no hawaiian on the menu"),
        (row(3, size="s"), "Hawaiian does not come in s"),
        (row(3, "Greek", "XL", "9.00"), "Greek does not come in XL"),
        (row(3, price="10.49"), "Hawaiian S costs 10.50, not 10.49"),
        (row(3, "Gone", price="9.00"), "Gone is sold out"),
        (row(3, "Twin", price="9.00"), "there are two pizzas called Twin on the menu"),
    ],
)
def test_a_row_that_is_not_on_the_menu_exactly_so_is_left_out_with_its_reason(bad: Row, reason: str) -> None:
    fitted, unplaced = fit([Sale("7", AT, (row(2), bad)), Sale("8", AT, (bad,))], CARD)
    assert [order.rows for order in fitted] == [(row(2),)]
    assert unplaced == [Unplaced(3, reason, bad)] * 2


@given(
    st.lists(
        st.tuples(st.sampled_from([("Hawaiian", "S", "10.50"), ("Hawaiian", "XL", "20.00"), ("Greek", "S", "9.00")])),
        min_size=1,
        max_size=28,
    ),
    st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=60),
)
def test_the_shop_understands_every_order_and_it_holds_what_the_rows_say(
    kinds: Sequence[tuple[tuple[str, str, str]]], number: str
) -> None:
    rows = tuple(row(line, *kind, order=number) for line, (kind,) in enumerate(kinds, 2))
    sale = Sale(number, AT, rows)
    ((fitted,), _) = fit([sale], CARD)
    new = read_order(fitted.body, "US", lambda: pytest.fail("the order has problems"))
    ordered: Counter[tuple[str, str]] = Counter()
    for line in new.lines:
        ordered[line.pizza.capitalize(), line.size.upper()] += line.quantity
    assert ordered == Counter((one.name, one.size) for one in rows)
    assert new.contact.phone == placeholder(sale)
    assert fit([sale], CARD)[0] == [fitted]


def test_the_largest_order_of_a_till_fits_into_one_of_ours() -> None:
    assert MAX_LINES >= 28 and MAX_PIZZAS >= 28


def seen(status: str, *items: tuple[str, str, int, str]) -> Seen:
    sold = [{"pizza": p, "name": p, "size": s, "quantity": n, "line_total": total} for p, s, n, total in items]
    return Seen(status, None, None, sold, "No dough." if status == "cancelled" else None)


def compare(rows: Iterable[Row], said: Seen | None, problem: str | None = None) -> sums.Sold:
    orders = history.sales(rows, None, None)
    fitted, unplaced = fit(orders, CARD)
    placed = [(order, "id" if said else None, problem) for order in fitted]
    return sums.compare(rows, unplaced, placed, {"id": said} if said else {}, CARD)


def test_what_the_shop_says_is_compared_by_day_pizza_and_size() -> None:
    rows = [row(2, quantity=2), row(3, "Greek", price="9.00")]
    sold = compare(rows, seen("delivered", ("hawaiian", "s", 2, "21.00"), ("greek", "s", 1, "9.00")))
    assert sold.equal and not sold.unplaced
    assert sold.as_json()["by_day"] == [
        {
            "day": "2026-01-31",
            "pizza": name,
            "size": "S",
            "file": {"pizzas": number, "sum": amount},
            "unplaced": {"pizzas": 0, "sum": "0.00"},
            "shop": {"pizzas": number, "sum": amount},
        }
        for name, number, amount in (("Greek", 1, "9.00"), ("Hawaiian", 2, "21.00"))
    ]


@pytest.mark.parametrize(
    "items",
    [
        [("hawaiian", "s", 2, "20.99")],
        [("hawaiian", "s", 1, "21.00")],
        [("hawaiian", "xl", 2, "21.00")],
        [("greek", "s", 2, "21.00")],
        [("hawaiian", "s", 2, "21.00"), ("greek", "s", 1, "9.00")],
        [],
    ],
)
def test_a_cent_a_pizza_or_a_size_that_differs_is_found(items: list[tuple[str, str, int, str]]) -> None:
    sold = compare([row(2, quantity=2)], seen("delivered", *items))
    assert not sold.equal
    lines = list(sums.table(sold))
    assert any(line.endswith("DIFFERENT") for line in lines) and "NOT the file's" in lines[-1]


@pytest.mark.parametrize(
    ("said", "problem", "reason"),
    [
        (None, "refused with 422: items: No.", "refused with 422: items: No."),
        (seen("cancelled", ("hawaiian", "s", 2, "21.00")), None, "cancelled: No dough."),
    ],
)
def test_what_was_refused_or_cancelled_was_not_sold_and_is_listed(
    said: Seen | None, problem: str | None, reason: str
) -> None:
    sold = compare([row(2, quantity=2), row(3, "Nobody's")], said, problem)
    assert sold.equal
    assert [(one.line, one.reason) for one in sold.unplaced] == [(2, reason), (3, "there is no Nobody's on the menu")]
    assert (sold.total("file").pizzas, sold.total("unplaced").pizzas, sold.total("shop").pizzas) == (3, 3, 0)
    assert "line 2: " + reason in sums.table(sold)


def test_the_export_that_is_made_up_is_as_large_as_a_year_and_always_the_same(tmp_path: Path) -> None:
    rows = list(till_export.rows())
    assert rows[:100] == list(till_export.rows())[:100]
    orders = Counter[object]()
    for found in rows:
        orders[found[0]] += int(str(found[7]))
    assert len(orders) == 21_000 and max(orders.values()) == 28
    assert 48_000 < sum(orders.values()) < 50_000
    assert (len({found[3] for found in rows}), len({found[4] for found in rows})) == (32, 5)
    till_export.write(tmp_path / "year.csv", orders=50)
    read_back, unplaced = history.read(str(tmp_path / "year.csv"), None)
    with (tmp_path / "year.csv").open(encoding="utf-8") as file:
        assert len(read_back) == len(list(csv.reader(file))) - 1
    assert unplaced == []
