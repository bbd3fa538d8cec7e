"""The manager's page of figures: what the report says, as tables and as a chart."""

import re
from collections.abc import Callable
from decimal import Decimal
from html import unescape

import pytest
from flask.testing import FlaskClient

from tests.integration.conftest import Shop
from tests.integration.october import OCTOBER, ROME, report, spend
from tests.integration.web.conftest import Site
from tests.integration.web.test_web_pages import log_in
from web.charts import bars
from web.display import minutes

pytestmark = pytest.mark.integration

ASKED = "/staff/figures?from=2026-10-24&to=2026-10-25"


@pytest.fixture
def manager(shop: Shop, make_site: Callable[..., Site]) -> FlaskClient:
    """Somebody who is logged in on a site in Rome, after two days in October."""
    spend(shop)
    return log_in(make_site(timezone=ROME, currency="EUR"))


def tables(page: str) -> dict[str, list[list[str]]]:
    """Give the rows of each section's table, cell by cell."""
    return {
        name: [
            [" ".join(unescape(re.sub("<[^>]+>", "", cell)).split()) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
            for row in re.findall(r"<tr.*?</tr>", section, re.DOTALL)
        ]
        for name, section in re.findall(
            r'<section class="panel" aria-labelledby="([^"]+)">(.*?)</section>', page, re.DOTALL
        )
    }


def test_the_page_says_what_the_report_says(manager: FlaskClient, shop: Shop) -> None:
    found, answer = report(shop, OCTOBER), manager.get(ASKED)
    assert answer.status_code == 200
    shown = tables(answer.text)
    assert [row[1:] for row in shown["by-day"][1:]] == [
        [str(d.orders), str(d.pizzas), f"€{d.sales}"] for d in found.days
    ]
    assert [row[1:] for row in shown["by-hour"][1:]] == [
        [str(h.orders), str(h.pizzas), f"€{h.sales}"] for h in found.hours
    ]
    assert [row[0] for row in shown["by-day"][1:]] == ["Sat 24 Oct", "Sun 25 Oct most"]
    assert shown["pizzas"][1:4] == [
        ["Margherita DOP", "4", "€47.00", "#1"],
        ["large", "3", "€39.00", ""],
        ["small", "1", "€8.00", ""],
    ]
    whole = [[p.name, str(p.quantity), f"€{p.revenue}", f"#{p.rank_by_revenue}"] for p in found.pizzas]
    assert [row for row in shown["pizzas"] if row[3].startswith("#")] == whole
    assert shown["customers"][1:] == [["New", "3", "6", "€68.95"], ["Returning", "2", "3", "€30.60"]]
    assert shown["preparation"] == [
        ["Half within", minutes(1200)],
        ["95 % within", minutes(1800)],
        ["Later than promised", "2 of 5 (40.0 %)"],
    ]
    assert shown["cancelled"][1:] == [
        *([r.reason, str(r.orders), f"€{r.value}"] for r in found.cancelled.reasons),
        ["Together", "3", "€33.60"],
    ]
    totals = [unescape(value) for value in re.findall(r"<dd>(.*?)</dd>", answer.text)]
    assert totals == ["€99.55", "5", "9", "€19.91"]
    assert "Of 9 orders placed, 1 is under way and 3 were cancelled." in answer.text


def test_the_chart_has_a_bar_for_each_row_and_says_in_words_which_is_the_highest(manager: FlaskClient) -> None:
    page = manager.get(ASKED).text
    assert page.count("<rect") == 2 + 24
    assert page.count('class="highest"') == 2
    assert 'aria-label="Sales by day. Most on Sun 25 Oct: €70.95."' in page
    assert 'aria-label="Sales by the hour of the order. Most from 02:00: €46.30."' in page
    assert "style=" not in page


def test_bars_are_as_high_as_their_amounts_and_of_nothing_there_is_no_chart() -> None:
    chart = bars([Decimal("10.00"), Decimal(0), Decimal("40.00")])
    assert chart
    assert ([bar.height for bar in chart.bars], [bar.y for bar in chart.bars]) == ([25, 0, 100], [75, 100, 0])
    assert ([bar.highest for bar in chart.bars], chart.peak, chart.width) == ([False, False, True], 2, 30)
    assert bars([]) is bars([Decimal(0)]) is None


def test_days_without_orders_are_said_to_be_empty(manager: FlaskClient) -> None:
    page = manager.get("/staff/figures?from=2020-01-01&to=2020-01-02")
    assert page.status_code == 200
    assert "No orders were placed from 2020-01-01 to 2020-01-02." in page.text
    assert "<table" not in page.text


def test_without_a_sale_there_is_no_chart_and_each_part_says_what_is_missing(manager: FlaskClient, shop: Shop) -> None:
    shop.execute("DELETE FROM order_outcomes")
    shop.execute("DELETE FROM preparation_metrics")
    page = manager.get(ASKED).text
    assert "<svg role" not in page
    for words in ("Nothing was sold yet.", "Nothing was made yet.", "No order was cancelled."):
        assert words in page


def test_bad_days_are_told_in_one_sentence_and_what_was_typed_is_kept_and_escaped(manager: FlaskClient) -> None:
    answer = manager.get('/staff/figures?from="><b>&to=2026-10-25')
    assert answer.status_code == 422
    assert "is no day: write it as 2026-11-23." in answer.text
    assert '"><b>' not in answer.text
    assert 'value="2026-10-25" aria-invalid="true"' in answer.text
    assert "<table" not in answer.text
    assert manager.get("/staff/figures?from=2026-10-25&to=2026-10-24").status_code == 422


def test_reasons_that_staff_typed_are_escaped(manager: FlaskClient, shop: Shop) -> None:
    shop.execute("UPDATE order_outcomes SET reason = '<b>No</b>' WHERE outcome = 'cancelled'")
    assert "&lt;b&gt;No&lt;/b&gt;" in manager.get(ASKED).text


def test_only_a_manager_sees_figures(manager: FlaskClient, shop: Shop) -> None:
    assert 'href="/staff/figures"' in manager.get("/staff").text
    shop.execute("UPDATE staff SET role = 'cook'")
    assert manager.get("/staff/figures").status_code == 403
    assert 'href="/staff/figures"' not in manager.get("/staff").text


def test_the_orders_themselves_are_never_read(manager: FlaskClient, shop: Shop) -> None:
    before = manager.get(ASKED)
    shop.execute("ALTER TABLE orders RENAME TO hidden")
    again = manager.get(ASKED)
    shop.execute("ALTER TABLE hidden RENAME TO orders")
    assert tables(before.text)
    assert (again.status_code, tables(again.text)) == (200, tables(before.text))
