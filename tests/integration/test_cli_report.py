"""`pizzeria report`: tables for people, JSON for programs, and one sentence where there is nothing to report."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result

from domain.kernel import clock
from tasks.cli.report import command
from tests.integration.conftest import Shop
from tests.integration.october import ROME, plain, report, spend

pytestmark = pytest.mark.integration


def run(*words: str) -> Result:
    return CliRunner().invoke(command, list(words), catch_exceptions=False, terminal_width=200)


@pytest.fixture
def in_rome(shop: Shop, configure: Callable[..., None]) -> Shop:
    configure(timezone=ROME, currency="EUR")
    spend(shop)
    return shop


def test_the_command_prints_the_same_as_json(in_rome: Shop) -> None:
    said = run("--from", "2026-10-24", "--to", "2026-10-25", "--json")
    assert said.exit_code == 0
    assert json.loads(said.output) == plain(report(in_rome))


def test_the_command_prints_tables_to_the_cent(in_rome: Shop) -> None:
    said = run("--from", "2026-10-24", "--to", "2026-10-25")
    assert said.exit_code == 0
    rows = [" ".join(line.split()) for line in said.output.splitlines()]
    assert rows[:2] == [
        "2026-10-24 to 2026-10-25, Europe/Rome",
        "5 orders sold, 9 pizzas, €99.55, €19.91 an order; 9 placed, 1 under way, 3 cancelled.",
    ]
    for row in (
        "2026-10-25 Sun 4 7 €70.95",
        "02:00 2 4 €46.30",
        "Margherita DOP 4 €47.00 #1",
        "large 3 €39.00",
        "returning 2 3 €30.60",
        "median 20 min 00 s",
        "95 % within 30 min 00 s",
        "later than promised 2 of 5 (40.0%)",
        "We are out of mozzarella. 2 €24.00",
    ):
        assert row in rows


def test_what_staff_typed_is_neither_markup_nor_moves_the_cursor(in_rome: Shop) -> None:
    in_rome.execute("UPDATE order_outcomes SET reason = E'[bold]\\x1b[2J[/none] it' WHERE outcome = 'cancelled'")
    said = run("--from", "2026-10-24", "--to", "2026-10-25")
    assert "[bold] [2J[/none] it" in said.output


def test_without_orders_it_says_so_in_one_sentence(in_rome: Shop) -> None:
    said = run("--from", "2020-01-01", "--to", "2020-01-02")
    assert (said.exit_code, said.output) == (0, "No orders were placed from 2020-01-01 to 2020-01-02.\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--from", "yesterday"], "“yesterday” is no day: write it as 2026-11-23."),
        (["--to", "2026-02-30"], "“2026-02-30” is no day: write it as 2026-11-23."),
        (["--to", "20261124"], "“20261124” is no day: write it as 2026-11-23."),
        (["--to", "0001-01-01"], "“0001-01-01” is no day: write it as 2026-11-23."),
        (
            ["--from", "2026-10-02", "--to", "2026-10-01"],
            "2026-10-02 comes after 2026-10-01: give the earlier day first.",
        ),
        (["--from", "2026-01-01", "--to", "2027-01-02"], "2026-01-01 to 2027-01-02 is more than 366 days: give fewer."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_days_that_are_none_are_refused_in_one_sentence(shop: Shop, words: list[str], sentence: str) -> None:
    said = run(*words)
    assert (said.exit_code, said.output.count("\n")) == (2, 1)
    assert said.output.startswith(sentence)


def test_without_days_it_is_the_week_that_ends_today_by_the_shops_clock(
    shop: Shop, configure: Callable[..., None]
) -> None:
    configure(timezone="Pacific/Kiritimati")  # 14 hours ahead
    clock.move(datetime(2026, 10, 25, 12, tzinfo=UTC) - clock.now())
    assert "from 2026-10-20 to 2026-10-26" in run().output
    assert "from 2026-10-25 to 2026-10-26" in run("--from", "2026-10-25").output
    assert "from 2026-10-14 to 2026-10-20" in run("--to", "2026-10-20").output


def test_a_year_of_the_last_days_there_are_is_read(shop: Shop) -> None:
    assert "to 2999-12-31" in run("--to", "2999-12-31").output
