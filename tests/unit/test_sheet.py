"""Tables from CSV files: columns by their usual names, cells of which nothing is guessed."""

import csv
import io
import unicodedata
from datetime import date, time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain import sheet
from domain.sheet import COLUMNS, CellError, SheetError

pytestmark = pytest.mark.unit

WANTED = ("order", "date", "name", "price", "total")
NEEDED = ("name", "price")
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
NO_PRICES = ("", "0", "0.00", "-1", "1.234", "1,234.50", "12 €", "$12", "1e3", "NaN", "١٢", "9" * 9)
NO_DATES = ("", "2026-02-30", "31/04/2026", "1/1/26", "2026-01/02", "yesterday", "2026-01-01 00:00")


def written(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def cells(tmp_path: Path, text: str | bytes) -> list[dict[str, str]]:
    return [dict(line.cells) for line in sheet.read(written(tmp_path, text), WANTED, NEEDED)]


@pytest.mark.parametrize(
    "text",
    [
        "name,price\nMargherita,12.50\n",
        b"\xef\xbb\xbfname,price\r\nMargherita,12.50\r\n",
        "Unit Price;PIZZA_NAME\n12.50;Margherita\n",
        '"pizza name";"PRICE"\n" Margherita ";"12.50"\n',
        "colour,price,name\nred,12.50,Margherita\n\n,,\n",
        "name,price\rMargherita,12.50\r",
    ],
)
def test_columns_are_found_whatever_their_order_names_and_delimiter(tmp_path: Path, text: str | bytes) -> None:
    assert cells(tmp_path, text) == [{"name": "Margherita", "price": "12.50"}]


def test_cells_are_written_one_way_however_their_accents_were_typed(tmp_path: Path) -> None:
    assert cells(tmp_path, "name,price\nCafe\u0301,12.50\n") == [{"name": "Caf\u00e9", "price": "12.50"}]


def test_the_public_pizza_sales_data_sets_header_is_understood(tmp_path: Path) -> None:
    header = (
        "pizza_id,order_id,pizza_name_id,quantity,order_date,order_time,unit_price,total_price,pizza_size,"
        "pizza_category,pizza_ingredients,pizza_name"
    )
    row = '1,7,hawaiian_m,1,1/1/2015,11:38:36,13.25,13.25,M,Classic,"Ham, Pineapple",The Hawaiian Pizza'
    (line,) = sheet.read(written(tmp_path, f"{header}\n{row}\n"), tuple(COLUMNS), ("order", "name"))
    assert line.cells == {
        "order": "7",
        "quantity": "1",
        "date": "1/1/2015",
        "time": "11:38:36",
        "price": "13.25",
        "total": "13.25",
        "size": "M",
        "category": "Classic",
        "description": "Ham, Pineapple",
        "name": "The Hawaiian Pizza",
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no column for the name and the price"),
        ("name\nMargherita\n", "has no column for the price"),
        ("name,item,price\n", "has two columns for the name, name and item"),
        (b"name,price\nMargherita,1\nCaf\xe9,2\n", "line 3: this is no UTF-8"),
        (
            f'name,price\nMargherita,1\n"Diavola\n{"Marinara,3" * 14_000}\n',
            "line 3: a cell is longer than 131072 characters; is a quotation mark never closed?",
        ),
        (f"name,price,{'x' * 131_073}\n", "line 1: a cell is longer than 131072 characters"),
        ('name,price\n"Marg"herita,1\n', "line 2: a quotation mark is out of place"),
        ('name,price\nMargherita,1\n"Diavola,2\nMarinara,3\n', "line 3: a quotation mark is out of place"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_in_one_sentence(
    tmp_path: Path, text: str | bytes, problem: str
) -> None:
    with pytest.raises(SheetError) as raised:
        cells(tmp_path, text)
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match=r"nothing\.csv cannot be read: No such file"):
        sheet.read(str(tmp_path / "nothing.csv"), WANTED, NEEDED)


def test_lines_keep_their_numbers_and_one_with_other_cells_says_so(tmp_path: Path) -> None:
    lines = sheet.read(written(tmp_path, 'name,price\n\n"a\nb",1\nc,2,3\nd\n'), WANTED, NEEDED)
    assert [(line.number, line.problem) for line in lines] == [
        (3, None),
        (5, "the line has 3 cells, the first line has 2"),
        (6, "the line has 1 cells, the first line has 2"),
    ]


@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), st.integers(1, 999))
    ),
    st.sampled_from(",;"),
    st.sampled_from(["", "\ufeff"]),
)
def test_whatever_a_csv_writer_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]], delimiter: str, mark: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows([("name", "price"), *rows])
    found = cells(tmp_path_factory.mktemp("csv"), mark + text.getvalue())
    names = [unicodedata.normalize("NFC", name).strip() for name, _ in rows]
    assert found == [{"name": name, "price": str(price)} for name, (_, price) in zip(names, rows, strict=True)]


@given(st.decimals("0.01", "99999999.99", places=2), st.sampled_from(".,"))
def test_a_price_is_read_to_the_cent_with_a_point_or_a_comma(price: Decimal, point: str) -> None:
    assert sheet.money(str(price).replace(".", point)) == price


@pytest.mark.parametrize("cell", NO_PRICES)
def test_what_may_be_no_price_is_none(cell: str) -> None:
    with pytest.raises(CellError):
        sheet.money(cell)


def test_a_price_of_whole_or_tenths_has_cents_too() -> None:
    assert [str(sheet.money(cell)) for cell in ("12", "12.5", "12,5")] == ["12.00", "12.50", "12.50"]


@given(st.dates(date(1000, 1, 1)), st.sampled_from("-/."))
def test_dates_are_read_as_they_are_written(day: date, sign: str) -> None:
    assert sheet.day(f"{day:%Y}{sign}{day:%m}{sign}{day:%d}", None) == day
    assert sheet.day(f"{day.day}{sign}{day.month}{sign}{day:%Y}", "day-first") == day
    assert sheet.day(f"{day:%m}{sign}{day:%d}{sign}{day:%Y}", "month-first") == day


@pytest.mark.parametrize("cell", NO_DATES)
def test_what_may_be_no_date_is_none(cell: str) -> None:
    with pytest.raises(CellError):
        sheet.day(cell, "day-first")


def test_a_time_has_hours_and_minutes_and_maybe_seconds() -> None:
    assert [sheet.clock_time(cell) for cell in ("9:05", "18:05:30")] == [time(9, 5), time(18, 5, 30)]


@pytest.mark.parametrize("cell", ["", "24:00", "9", "9:60", "9:05 PM", "9:5"])
def test_what_may_be_no_time_is_none(cell: str) -> None:
    with pytest.raises(CellError):
        sheet.clock_time(cell)


def order_of(tmp_path: Path, *dates: str) -> str | None:
    path = written(tmp_path, "\n".join(["name,price,date", *(f"a,1,{day}" for day in dates)]))
    return sheet.date_order(path, sheet.read(path, WANTED, NEEDED))


def test_one_day_above_twelve_tells_how_all_dates_of_a_file_are_meant(tmp_path: Path) -> None:
    assert order_of(tmp_path, "1/2/2026", "13-02-2026", "nonsense") == "day-first"
    assert order_of(tmp_path, "1/2/2026", "02/13/2026") == "month-first"
    assert order_of(tmp_path, "2026-02-13") is None


def test_dates_that_do_not_tell_or_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match=r"“1/2/2026” \(line 2\), and none tells the day from the month: say --dates"):
        order_of(tmp_path, "1/2/2026", "3/4/2026")
    with pytest.raises(SheetError, match=r"day first on line 3 .* month first on line 2 .* say --dates"):
        order_of(tmp_path, "02/13/2026", "13/02/2026")


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("The Hawaiian Pizza", "the-hawaiian-pizza"),
        ("XL", "xl"),
        ("Crème  brûlée!", "creme-brulee"),
        ("Straße_1", "strasse-1"),
        ("30 cm", "30-cm"),
        ("マルゲリータ", "マルゲリータ"),
        ("?!", ""),
    ],
)
def test_an_id_is_made_of_a_name(name: str, made: str) -> None:
    assert sheet.slug(name) == made


@given(st.text())
@example("℠")
def test_an_id_made_of_an_id_is_that_id(name: str) -> None:
    assert sheet.slug(sheet.slug(name)) == sheet.slug(name)
