"""The menu and the history of another till, brought into a pizzeria of real processes and compared to the cent."""

import csv
import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests import till_export
from tests.acceptance.conftest import Said, Shop

pytestmark = pytest.mark.acceptance

ORDERS = 60


@pytest.fixture(scope="module")
def shop(new_shop: Callable[..., Shop]) -> Shop:
    shop = new_shop(stock="seeded", web_workers=2)
    shop.open()
    return shop


@pytest.fixture(scope="module")
def year(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A till's export, of which the menu was imported."""
    path = tmp_path_factory.mktemp("till") / "year.csv"
    till_export.write(path, ORDERS, seed=2)  # with an order of 28 pizzas
    said = shop.ask("menu", "import", str(path), "--replace")
    assert (said.code, said.err) == (0, ""), said
    return path


def play(shop: Shop, path: Path, *words: str) -> Said:
    return shop.ask("simulate", "--history", str(path), "--speed", "max", "--json", *words)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sums(path: Path) -> dict[tuple[str, str, str], tuple[int, Decimal]]:
    """Add up a file by hand."""
    pizzas: Counter[tuple[str, str, str]] = Counter()
    amounts: dict[tuple[str, str, str], Decimal] = {}
    for row in rows(path):
        day, month, year = row["order_date"].split("/")
        kind = f"{year}-{month}-{day}", row["pizza_name"], row["pizza_size"]
        pizzas[kind] += int(row["quantity"])
        amounts[kind] = amounts.get(kind, Decimal(0)) + Decimal(row["unit_price"]) * int(row["quantity"])
    return {kind: (number, amounts[kind]) for kind, number in pizzas.items()}


def told(history: dict[str, Any], by: str) -> dict[tuple[str, str, str], tuple[int, Decimal]]:
    return {
        (kind["day"], kind["pizza"], kind["size"]): (kind[by]["pizzas"], Decimal(kind[by]["sum"]))
        for kind in history["by_day"]
    }


def test_a_history_is_played_to_the_cent_and_a_second_time_places_nothing(shop: Shop, year: Path) -> None:
    sizes: Counter[str] = Counter()
    for row in rows(year):
        sizes[row["order_id"]] += int(row["quantity"])
    assert max(sizes.values()) == 28
    said = play(shop, year)
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    history = found["history"]
    assert (found["orders"], found["delivered"], found["lost"], found["duplicated"]) == (ORDERS, ORDERS, 0, 0)
    assert told(history, "file") == told(history, "shop") == sums(year)
    assert (history["equal"], history["rows_not_placed"], history["placed_before"]) == (True, [], 0)
    total = sum(amount for _, amount in sums(year).values())
    assert history["shop"]["sum"] == str(total)
    assert shop.value("SELECT sum(subtotal) FROM orders WHERE status = 'delivered'") == total

    again = json.loads(play(shop, year).out)["history"]
    assert (again["equal"], again["placed_before"]) == (True, ORDERS)
    assert shop.value("SELECT count(*) FROM orders") == ORDERS
    shop.check()


def test_orders_are_placed_in_their_order_and_rhythm(shop: Shop, year: Path) -> None:
    path = year.with_name("evening.csv")
    lines = ["order_id,date,time,name,size,price"]
    first = rows(year)[0]
    pizza = f"{first['pizza_name']},{first['pizza_size']},{first['unit_price']}"
    lines += [f"evening-{n},2024-02-29,20:{minute:02},{pizza}" for n, minute in ((3, 30), (1, 0), (2, 10))]
    path.write_text("\n".join(lines), encoding="utf-8")
    said = shop.ask("simulate", "--history", str(path), "--speed", "1200")
    assert (said.code, said.out.count("2024-02-29")) == (0, 1)
    assert "the shop's counts and sums are the file's." in said.out
    placed = shop.rows("SELECT name, placed_at FROM orders WHERE name LIKE 'Till order evening%%' ORDER BY placed_at")
    assert [row.name[-1] for row in placed] == ["1", "2", "3"]
    seconds = (placed[-1].placed_at - placed[0].placed_at).total_seconds()
    assert 1.4 < seconds < 10  # half an hour, 1,200 times as fast
    assert shop.ask("simulate", "--history", str(path), "--speed", "max", "--again").code == 0
    assert shop.value("SELECT count(*) FROM orders WHERE name LIKE 'Till order evening%%'") == 6


def test_rows_that_cannot_be_placed_are_listed_and_the_others_are_placed(shop: Shop, year: Path) -> None:
    header, first, *_ = year.read_text(encoding="utf-8").splitlines()
    cells = first.split(",")

    def line(**changes: str) -> str:
        named = dict(zip(header.split(","), cells, strict=True)) | {"order_id": "bad", "quantity": "1"} | changes
        named["total_price"] = named["unit_price"]
        return ",".join(named.values())

    path = year.with_name("bad.csv")
    lines = [
        line(order_date="13/06/2024"),
        line(order_date="13/06/2024", pizza_name="Nobody's"),
        line(order_date="13/06/2024", unit_price="0.01"),
        line(order_date="some day"),
        *[line(order_date="14/06/2024")] * 101,
        line(order_date="15/06/2024"),
    ]
    path.write_text("\n".join([header, *lines]), encoding="utf-8")
    before = shop.value("SELECT count(*) FROM orders")
    said = play(shop, path, "--from", "2024-06-13", "--to", "2024-06-14")
    history = json.loads(said.out)["history"]
    assert said.code == 1
    reasons = {row["line"]: row["reason"] for row in history["rows_not_placed"]}
    assert list(reasons) == [3, 4, 5, *range(6, 107)]
    assert reasons[3] == "there is no Nobody's on the menu"
    assert reasons[4].endswith(f"costs {cells[header.split(',').index('unit_price')]}, not 0.01")
    assert reasons[5] == "“some day” is no date such as 2026-01-31"
    assert "Order at most 100 pizzas at once" in reasons[6]
    assert (history["equal"], history["shop"]["pizzas"], history["file"]["pizzas"]) == (True, 1, 104)
    assert shop.value("SELECT count(*) FROM orders") == before + 1
    shop.check()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--history", "/nowhere.csv"), "/nowhere.csv cannot be read: No such file or directory."),
        (("--history", "{year}", "--from", "2031-01-01"), "has no order of these days: it has those of 2025-01-01 to"),
        (("--history", "{year}", "--from", "2025-02-01", "--to", "2025-01-01"), "--from 2025-02-01 is after --to"),
        (("--history", "{year}", "--rate", "5"), "--rate does not go with --history."),
        (("--history", "{empty}"), "has no column for the order and the date"),
        (("7", "--history", "{year}"), "N does not go with --history."),
        (("7", "--to", "2025-01-01"), "--to wants --history."),
        ((), "Say N, how many orders"),
    ],
)
def test_what_cannot_be_played_is_one_sentence_and_no_order(
    shop: Shop, year: Path, words: tuple[str, ...], problem: str
) -> None:
    (empty := year.with_name("empty.csv")).touch()
    before = shop.value("SELECT count(*) FROM events")
    said = shop.ask("simulate", *(word.format(year=year, empty=empty) for word in words))
    assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1), said
    assert problem in said.err
    assert shop.value("SELECT count(*) FROM events") == before
