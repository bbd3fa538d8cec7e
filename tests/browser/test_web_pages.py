"""What people do on the pages, in a real browser."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from domain.events import OrderCookingStarted, OrderDelivered, OrderEvent, OrderOutForDelivery, OrderReady
from domain.kernel import clock
from domain.orders import Order, Orders, code_of
from tests.browser.conftest import STAFF_PASSWORD, Live

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]
TRACKING = re.compile(r"/orders/([0-9a-f]{40})$")


def fill_in(page: Page, name: str = "Ada Lovelace") -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Telephone").fill("+1 202 555 0123")
    page.get_by_label("Address").fill("12 Analytical Row")


def send(page: Page) -> None:
    page.locator("[data-send]").click()


def order_of(page: Page) -> str:
    page.wait_for_url(TRACKING)
    found = TRACKING.search(page.url)
    assert found
    return found[1]


def place(page: Page) -> str:
    page.get_by_role("button", name="Add Margherita, Medium").click()
    fill_in(page)
    send(page)
    return order_of(page)


def advance(live: Live, order_id: str, kind: type[OrderEvent], happened: Callable[[Order], OrderEvent]) -> None:
    with live.database.begin("browser-test") as work:
        assert Orders(work, [order_id]).advance([order_id], kind, happened)


def cook(live: Live, order_id: str) -> None:
    advance(
        live,
        order_id,
        OrderCookingStarted,
        lambda o: OrderCookingStarted(**o.contact, load_id="load", estimated_ready_time=clock.now()),
    )


def test_two_pizzas_are_ordered_and_the_basket_reckons_like_the_server(live: Live, open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("button", name="Add Margherita, Large").click()
    page.get_by_role("button", name="Add Diavola, Medium").click()
    page.get_by_role("button", name="Add Diavola, Medium").click()
    expect(page.locator("[data-total]")).to_have_text("$37.00")
    first = page.locator("[data-line]").first
    first.get_by_text("Toppings and note").click()
    first.get_by_label("Fresh basil").check()
    first.get_by_label("Note for this pizza").fill("well done")
    expect(page.locator("[data-total]")).to_have_text("$37.60")
    fill_in(page)
    send(page)
    order_of(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("We have your order.")
    expect(page.locator(".receipt")).to_contain_text("2 × Diavola")
    expect(page.locator(".receipt")).to_contain_text("with fresh basil")
    expect(page.locator(".totals")).to_contain_text("$37.60")


def test_errors_keep_what_was_typed_and_take_the_focus(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("button", name="Add Marinara, Small").click()
    page.get_by_label("Quantity").fill("0")
    fill_in(page)
    page.get_by_label("Telephone").fill("call me")
    send(page)
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("Marinara: The quantity must be a whole number from 1 to 20.")
    expect(page.get_by_label("Telephone")).to_have_value("call me")
    expect(page.get_by_label("Telephone")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Address")).to_have_value("12 Analytical Row")
    summary.get_by_role("link", name="telephone").click()
    expect(page.get_by_label("Telephone")).to_be_focused()
    page.get_by_label("Telephone").fill("+1 202 555 0123")
    page.get_by_label("Quantity").fill("1")
    send(page)
    order_of(page)


def test_an_empty_basket_is_told(live: Live, open_page: OpenPage) -> None:
    before, page = live.count(), open_page()
    fill_in(page)
    send(page)
    expect(page.get_by_role("alert")).to_contain_text("Order 1 to 50 items.")
    assert live.count() == before


def test_a_double_click_makes_one_order(live: Live, open_page: OpenPage) -> None:
    before, page = live.count(), open_page()
    page.get_by_role("button", name="Add Margherita, Medium").click()
    fill_in(page)
    page.locator("[data-send]").dblclick(no_wait_after=True)
    order_of(page)
    assert live.count() == before + 1


def test_enter_in_a_field_orders_and_adds_no_pizza(live: Live, open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("button", name="Add Margherita, Medium").click()
    fill_in(page)
    page.get_by_label("Your name").press("Enter")
    order_of(page)
    expect(page.locator(".receipt-lines li")).to_have_count(1)


def test_the_tracking_page_follows_without_reload(live: Live, open_page: OpenPage) -> None:
    page = open_page()
    order_id = place(page)
    page.evaluate("window.sameVisit = true")
    headline = page.get_by_role("heading", level=1)
    cook(live, order_id)
    expect(headline).to_have_text("Your pizzas are in the oven.")
    expect(page.get_by_role("button", name="Cancel the order")).to_have_count(0)
    expect(page.locator("[data-said]")).to_have_text("Your pizzas are in the oven.")
    now = clock.now()
    advance(
        live,
        order_id,
        OrderReady,
        lambda o: OrderReady(
            **o.contact, fulfilment="delivery", preparation_time=1, estimated_preparation_time=1, ready_at=now
        ),
    )
    expect(headline).to_have_text("Ready, and leaving for your door soon.")
    later = now + timedelta(minutes=5)
    advance(
        live,
        order_id,
        OrderOutForDelivery,
        lambda o: OrderOutForDelivery(**o.contact, driver_name="Luigi", estimated_delivery_time=later),
    )
    expect(headline).to_have_text("On its way to your door.")
    advance(
        live,
        order_id,
        OrderDelivered,
        lambda o: OrderDelivered(**o.contact, fulfilment="delivery", delivered_at=clock.now()),
    )
    expect(headline).to_have_text("Delivered. Buon appetito!")
    assert page.evaluate("window.sameVisit") is True


def test_the_customer_cancels(open_page: OpenPage) -> None:
    page = open_page()
    place(page)
    page.get_by_role("button", name="Cancel the order").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This order was cancelled.")
    expect(page.get_by_text("Cancelled by the customer. You pay nothing.")).to_be_visible()


def test_it_all_works_without_scripts(open_page: OpenPage) -> None:
    page = open_page(scripts=False)
    page.get_by_role("button", name="Add Margherita, Medium").click()
    page.get_by_role("button", name="Add Vegetariana, Large").click()
    expect(page.locator("[data-line]")).to_have_count(2)
    page.get_by_role("button", name="Remove Margherita").click()
    expect(page.locator("[data-total]")).to_have_text("$15.60")
    page.get_by_label("I pick it up").check()
    expect(page.get_by_label("Address")).to_be_hidden()
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Telephone").fill("+1 202 555 0123")
    send(page)
    order_of(page)
    page.get_by_role("button", name="Cancel the order").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This order was cancelled.")


def test_the_keyboard_is_enough(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for _ in range(60):
        if page.evaluate("document.activeElement.value") == "margherita:medium":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    for wanted, typed in (("name", "Ada"), ("phone", "+1 202 555 0123"), ("address", "12 Analytical Row")):
        for _ in range(60):
            if page.evaluate("document.activeElement.name") == wanted:
                break
            page.keyboard.press("Tab")
        page.keyboard.type(typed)
    for _ in range(5):
        if page.evaluate("document.activeElement.name") == "send":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    order_of(page)
    expect(page.locator(".receipt")).to_contain_text("2 × Margherita")


def overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


SMALL = """() => [...document.querySelectorAll('a, button, input:not([type=hidden]), select, textarea, summary')]
  .filter((e) => e.checkVisibility() && !e.closest('.visually-hidden, .skip, p') && !e.closest('label'))
  .map((e) => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.width < 24 || box.height < 24)).map(([html]) => html)"""


def test_a_narrow_phone_has_no_sideways_scroll_and_targets_are_large(open_page: OpenPage) -> None:
    page = open_page(width=320)
    page.get_by_role("button", name="Add Quattro formaggi, Large").click()
    page.get_by_text("Toppings and note").last.click()
    assert (overflow(page), page.evaluate(SMALL)) == (0, [])
    fill_in(page, "W" * 80)
    page.get_by_label("Telephone").fill("x")
    send(page)
    expect(page.get_by_role("alert")).to_be_visible()
    assert (overflow(page), page.evaluate(SMALL)) == (0, [])
    page.get_by_label("Telephone").fill("+1 202 555 0187")  # nobody's yet: a known number keeps its name
    send(page)
    order_of(page)
    assert (overflow(page), page.evaluate(SMALL)) == (0, [])
    log_in(page)
    assert (overflow(page), page.evaluate(SMALL)) == (0, [])
    page.get_by_role("link", name="Messages", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Messages")
    assert (overflow(page), page.evaluate(SMALL)) == (0, [])
    page.get_by_role("link", name="Customers", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Customers")
    assert (overflow(page), page.evaluate(SMALL)) == (0, [])
    page.get_by_role("link", name="W" * 80).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("W" * 80)
    assert (overflow(page), page.evaluate(SMALL)) == (0, [])


def log_in(page: Page) -> None:
    page.get_by_role("link", name="For our staff").click()
    page.get_by_label("Name").fill("staff")
    page.get_by_label("Password").fill(STAFF_PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Open orders")


def test_staff_see_new_orders_by_themselves(open_page: OpenPage) -> None:
    staff = open_page()
    log_in(staff)
    order_id = place(open_page())
    expect(staff.get_by_role("heading", name=code_of(order_id))).to_be_visible()
    staff.get_by_role("button", name=f"Cancel {code_of(order_id)}").click()
    expect(staff.get_by_role("status")).to_contain_text("is cancelled")


def test_staff_give_points_and_open_an_account(open_page: OpenPage) -> None:
    page = open_page()
    place(page)
    log_in(page)
    page.get_by_role("link", name="Customers", exact=True).click()
    page.get_by_label("Telephone").fill("555 0123")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("listitem").filter(has_text="5550123").get_by_role("link").first.click()
    page.get_by_label("Limit").fill("50")
    page.get_by_role("button", name="Open an account").click()
    expect(page.get_by_role("status")).to_have_text("The limit is changed.")
    expect(page.get_by_text("Owes $0.00 of at most $50.00.")).to_be_visible()
    page.get_by_label("To, by telephone").fill("+1 202 555 9999")
    page.get_by_label("Points", exact=True).fill("5")
    page.get_by_role("button", name="Transfer points").click()
    expect(page.get_by_role("status")).to_have_text("There is no such customer.")


CONTRAST = """() => {
  const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; }
    return [255, 255, 255]; };
  const poor = [];
  for (const e of document.querySelectorAll('main *, header *, footer *')) {
    if (!e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([e.textContent.trim().slice(0, 40), ratio]);
  }
  return poor;
}"""


def test_text_stands_out_from_what_is_behind_it(open_page: OpenPage) -> None:
    page = open_page()
    assert page.evaluate(CONTRAST) == []
    send(page)
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.evaluate(CONTRAST) == []
    page.goto(page.url.replace("/orders", "/"))
    place(page)
    assert page.evaluate(CONTRAST) == []
    log_in(page)
    assert page.evaluate(CONTRAST) == []
