"""What staff keep by hand in a real browser: on a narrow phone, by keyboard, and in contrast."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import STAFF_PASSWORD
from tests.browser.test_web_figures import OUTSIDE
from tests.browser.test_web_pages import CONTRAST, SMALL, overflow

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]


def fits(page: Page) -> None:
    """Nothing sticks out, is too small to be touched, or too pale to be read."""
    assert (overflow(page), page.evaluate(OUTSIDE), page.evaluate(SMALL)) == (0, [], [])
    assert page.evaluate(CONTRAST) == []


def arrive(page: Page, path: str) -> None:
    """Wait for the page that was asked for, which must fit."""
    page.wait_for_url(f"**{path}")
    fits(page)


def test_a_pizza_is_put_on_the_menu_on_a_narrow_phone_by_keyboard(open_page: OpenPage) -> None:
    page = open_page("/staff/lists", width=320)
    page.get_by_label("Name").fill("staff")
    page.get_by_label("Password").fill(STAFF_PASSWORD)
    page.get_by_role("button", name="Log in").click()
    arrive(page, "/staff/lists")
    page.get_by_role("link", name="Pizzas").press("Enter")
    arrive(page, "/staff/lists/pizzas")
    page.get_by_role("link", name="New pizza").press("Enter")
    arrive(page, "/staff/new/pizzas")
    page.get_by_label("Name", exact=True).fill("Quattro stagioni della casa con tutto")
    page.get_by_label("Large, USD").fill("a lot")
    page.get_by_label("Large, USD").press("Tab")
    expect(page.get_by_label("Recipe, Large")).to_be_focused()
    page.keyboard.type("dough 350; ham 60")
    page.get_by_role("button", name="Save").press("Enter")
    expect(page.get_by_text("Large: Give a price above 0")).to_be_visible()
    fits(page)
    expect(page.get_by_label("Recipe, Large")).to_have_value("dough 350; ham 60")
    page.get_by_label("Large, USD").fill("16.00")
    page.get_by_label("Large, USD").press("Enter")
    expect(page.get_by_text("Quattro stagioni della casa con tutto is written down.")).to_be_visible()
    fits(page)
    for path in ("ingredients/basil", "toppings/basil", "drivers", "suppliers/molino", "sizes/large"):
        page.goto(page.url.partition("/staff")[0] + f"/staff/lists/{path}")
        fits(page)
