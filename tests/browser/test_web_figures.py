"""The manager's figures in a real browser: on a narrow phone, by keyboard, without scripts, and in contrast."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from domain import figures
from domain.events import OrderCancelled, OrderDelivered, OrderPlaced, OrderReady
from tests.browser.conftest import STAFF_PASSWORD, Live
from tests.browser.test_web_pages import CONTRAST, SMALL, overflow
from tests.integration.october import SEEDED

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]
OUTSIDE = """() => [...document.querySelectorAll('main *')]
  .filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((e) => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def october(live: Live) -> None:
    """Two days' figures, with a long name and large sums among them."""
    with live.database.begin("test") as work:
        figures.track_orders(work, [event for event in SEEDED if isinstance(event, OrderPlaced)])
        figures.track_lines(work, [event for event in SEEDED if isinstance(event, OrderPlaced)])
        figures.track_preparation(work, [event for event in SEEDED if isinstance(event, OrderReady)])
        figures.track_outcomes(work, [e for e in SEEDED if isinstance(e, OrderDelivered | OrderCancelled)])
        work.run("UPDATE order_metrics SET order_value = 123456.78 WHERE order_id = 'c'")
        work.run(
            "UPDATE sales_lines SET name = 'Quattro formaggi della casa', revenue = 123456.78 WHERE order_id = 'c'"
        )


def ask(page: Page) -> None:
    """Log in on the way to the figures, and ask for two days."""
    page.get_by_label("Name").fill("staff")
    page.get_by_label("Password").fill(STAFF_PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Figures")
    page.get_by_label("From").fill("2026-10-24")
    page.get_by_label("To, included").fill("2026-10-25")
    page.get_by_label("To, included").press("Enter")
    expect(page.get_by_role("heading", name="Top pizzas")).to_be_visible()


@pytest.mark.usefixtures("october")
def test_figures_fit_a_narrow_phone_and_stand_out(open_page: OpenPage) -> None:
    page = open_page("/staff/figures", width=320)
    ask(page)
    expect(page.get_by_role("img", name="Sales by day. Most on Sun 25 Oct")).to_be_visible()
    assert (overflow(page), page.evaluate(OUTSIDE), page.evaluate(SMALL)) == (0, [], [])
    assert page.evaluate(CONTRAST) == []


@pytest.mark.usefixtures("october")
def test_figures_need_no_script(open_page: OpenPage) -> None:
    page = open_page("/staff/figures", scripts=False)
    ask(page)
    expect(page.get_by_role("row", name="Sun 25 Oct")).to_contain_text("$123,")
    heights = [bar.bounding_box() for bar in page.locator("svg[role=img]").first.locator("rect").all()]
    low, high = (box["height"] if box else 0 for box in heights)
    assert high > 100 * low > 0
