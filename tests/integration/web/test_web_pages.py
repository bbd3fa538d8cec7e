"""The pages without a browser: forms as browsers without scripts send them, and the staff's pages."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from psycopg.errors import LockNotAvailable
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from domain.orders import code_of
from tests.integration.web.conftest import Site
from tests.integration.web.test_web_api import NOTHING, ORDER

pytestmark = pytest.mark.integration

FORM = {
    "items-0-pizza": "margherita",
    "items-0-size": "large",
    "items-0-quantity": "2",
    "items-0-toppings": ["basil", "olives"],
    "items-0-note": "well done",
    "items-1-pizza": "diavola",
    "items-1-size": "small",
    "items-1-quantity": "1",
    "fulfilment": "delivery",
    "name": "Ada <b>Lovelace</b>",
    "phone": "+1 202 555 0123",
    "email": "",
    "address": "12 Analytical Row",
    "note": "The bell\r\nis broken",
}


def hidden(page: TestResponse, name: str) -> str:
    found = re.search(rf'name="{name}"[^>]* value="([^"]*)"', page.text)
    assert found, name
    return found[1]


def fill(client: FlaskClient, **changes: Any) -> dict[str, Any]:
    page = client.get("/")
    return FORM | {"csrf_token": hidden(page, "csrf_token"), "key": hidden(page, "key")} | changes


def log_in(site: Site) -> FlaskClient:
    client = site.client
    token = hidden(client.get("/staff/login"), "csrf_token")
    answer = client.post(
        "/staff/login", data={"username": "staff", "password": "correct horse", "csrf_token": token, "next": ""}
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/staff")
    return client


def press(client: FlaskClient, path: str, page: str = "/staff", **data: str) -> TestResponse:
    return client.post(path, data={"csrf_token": hidden(client.get(page), "csrf_token")} | data, follow_redirects=True)


def place(site: Site) -> str:
    order_id: str = site.client.post("/api/orders", json=ORDER).get_json()["id"]
    return order_id


def test_a_form_places_an_order_and_leads_to_its_page(site: Site) -> None:
    client = site.client
    answer = client.post("/orders", data=fill(client))
    assert answer.status_code == 303
    page = client.get(answer.headers["Location"])
    assert page.status_code == 200
    assert "Ada &lt;b&gt;Lovelace&lt;/b&gt;" in page.text
    assert "<b>Lovelace" not in page.text
    assert "“well done”" in page.text and "The bell is broken" in page.text
    (row,) = site.rows("SELECT name, note, total::text, jsonb_array_length(items) FROM orders")
    assert row == ("Ada <b>Lovelace</b>", "The bell is broken", "38.80", 2)  # 2 × (13 + 0.60 + 1.00) + 9.60


def test_the_form_without_scripts_shows_the_tax_that_is_charged(make_site: Callable[..., Site]) -> None:
    site = make_site(tax_rate="0.005")
    client = site.client
    asked = fill(client, **{"items-0-toppings": [], "items-0-quantity": "1"})
    asked = {name: value for name, value in asked.items() if not name.startswith("items-1")}
    shown = client.post("/orders", data=asked | {"remove": "9"}).text
    assert re.findall(r"data-(?:subtotal|tax|total)>([^<]*)<", shown) == ["$13.00", "$0.07", "$13.07"]
    client.post("/orders", data=asked)
    assert site.rows("SELECT subtotal::text, tax::text, total::text FROM orders") == [("13.00", "0.07", "13.07")]


@pytest.mark.parametrize(
    ("reads", "offered"), [("it-IT,it;q=0.9,en;q=0.8", "it"), ("de,en-GB;q=0.5", "en"), ("", "en"), ("tlh", "en")]
)
def test_the_form_offers_the_browsers_language_and_the_order_keeps_what_was_chosen(
    site: Site, reads: str, offered: str
) -> None:
    client = site.client
    page = client.get("/", headers={"Accept-Language": reads})
    assert re.findall(r'<option selected value="(\w\w)">', page.text) == [offered]
    client.post("/orders", data=fill(client, language="it"))
    assert site.rows("SELECT language FROM orders") == [("it",)]


def test_a_language_that_we_have_not_is_told_beside_its_field_and_orders_nothing(site: Site) -> None:
    client = site.client
    answer = client.post("/orders", data=fill(client, language="de"))
    assert answer.status_code == 422
    assert 'href="#language">Choose one of our languages (en, it), or leave it out.' in answer.text
    assert site.rows("SELECT 1 FROM orders") == []


def test_the_same_form_sent_twice_is_one_order(site: Site) -> None:
    client = site.client
    form = fill(client)
    first, again = client.post("/orders", data=form), client.post("/orders", data=form)
    assert first.headers["Location"] == again.headers["Location"]
    assert site.saved()["orders"] == 1


def test_a_form_changed_after_it_was_sent_asks_once_more(site: Site) -> None:
    client = site.client
    form = fill(client)
    client.post("/orders", data=form)
    changed = client.post("/orders", data=form | {"name": "Grace"})
    assert changed.status_code == 409
    assert "already placed" in changed.text
    renewed = form | {"name": "Grace", "key": hidden(changed, "key")}
    assert client.post("/orders", data=renewed).status_code == 303
    assert site.saved()["orders"] == 2


def test_errors_stand_beside_their_fields_and_what_was_typed_is_kept(site: Site) -> None:
    client = site.client
    answer = client.post("/orders", data=fill(client, phone='no"pe', **{"items-1-quantity": "0"}))
    assert answer.status_code == 422
    assert site.saved() == NOTHING
    assert 'value="no&#34;pe"' in answer.text
    assert 'aria-describedby="phone-hint phone-error"' in answer.text
    assert 'id="items-1-quantity-error"' in answer.text
    assert "Diavola: The quantity must be a whole number from 1 to 20." in answer.text
    assert 'value="Ada &lt;b&gt;Lovelace&lt;/b&gt;"' in answer.text
    assert re.search(r'name="items-0-toppings" value="olives"[^>]* checked', answer.text)


def test_an_empty_basket_is_said(site: Site) -> None:
    client = site.client
    form = {name: value for name, value in fill(client).items() if not name.startswith("items")}
    answer = client.post("/orders", data=form)
    assert answer.status_code == 422
    assert "Order 1 to 50 items." in answer.text


def test_without_scripts_buttons_fill_and_empty_the_basket(site: Site) -> None:
    client = site.client
    added = client.post("/orders", data=fill(client, add="marinara:small"))
    assert added.status_code == 200
    assert 'name="items-2-pizza" value="marinara"' in added.text
    assert "$46.00" in added.text
    removed = client.post("/orders", data=fill(client, remove="0"))
    assert 'value="diavola" data-pizza' in removed.text
    assert 'value="margherita" data-pizza' not in removed.text
    assert 'value="Ada &lt;b&gt;Lovelace&lt;/b&gt;"' in removed.text
    assert site.saved() == NOTHING


@pytest.mark.parametrize("token", ["", "forged"])
def test_a_forged_form_orders_nothing_and_keeps_what_was_typed(site: Site, token: str) -> None:
    client = site.client
    answer = client.post("/orders", data=fill(client, csrf_token=token))
    assert answer.status_code == 400
    assert "12 Analytical Row" in answer.text
    assert site.saved() == NOTHING


def test_line_numbers_that_no_page_makes_are_ignored(site: Site) -> None:
    client = site.client
    odd = {"items-²-pizza": "x", f"items-{'9' * 5000}-pizza": "x", "items-x": "x", "items": "x"}
    assert client.post("/orders", data=fill(client, **odd)).status_code == 303


def test_a_too_long_form_is_413(site: Site) -> None:
    client = site.client
    assert client.post("/orders", data=fill(client, note="x" * 70_000)).status_code == 413


def test_a_sold_out_pizza_is_shown_and_has_no_buttons(site: Site) -> None:
    site.run("UPDATE pizzas SET sold_out = true WHERE id = 'diavola'")
    page = site.client.get("/").text
    assert "Diavola" in page
    assert "Sold out today" in page
    assert 'value="diavola:small"' not in page


def test_the_customer_cancels_on_the_page_until_it_cooks(site: Site) -> None:
    order_id, client = place(site), site.client
    assert "Cancel the order" in client.get(f"/orders/{order_id}").text
    assert client.post(f"/orders/{order_id}/cancel").status_code == 303
    assert site.rows("SELECT status FROM orders") == [("placed",)], "no token, no cancelling"
    page = press(client, f"/orders/{order_id}/cancel", f"/orders/{order_id}")
    assert "This order was cancelled." in page.text
    assert "Cancelled by the customer." in page.text
    assert "Cancel the order" not in page.text


def test_too_late_is_said_on_the_page(site: Site) -> None:
    order_id, client = place(site), site.client
    token = hidden(client.get(f"/orders/{order_id}"), "csrf_token")
    site.run("UPDATE orders SET status = 'cooking', cooking_at = now()")
    page = client.post(f"/orders/{order_id}/cancel", data={"csrf_token": token}, follow_redirects=True)
    assert "can no longer be cancelled" in page.text
    assert "In the oven" in page.text


def test_a_pickup_is_followed_in_its_own_words(site: Site) -> None:
    client = site.client
    place_at = client.post("/orders", data=fill(client, fulfilment="pickup", address="")).headers["Location"]
    page = client.get(place_at).text
    assert "Ready for pickup" in page
    assert "On its way" not in page


@pytest.mark.parametrize("path", ["/nothing", f"/orders/{'0' * 32}", "/static/none.css", "/orders/../staff%00"])
def test_a_page_that_is_not_there_is_a_friendly_404(site: Site, path: str) -> None:
    answer = site.client.get(path)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def test_styles_are_kept_for_good(site: Site) -> None:
    found = re.search(r'href="(/static/[0-9a-f]+/shop\.css)"', site.client.get("/").text)
    assert found
    answer = site.client.get(found[1])
    assert answer.status_code == 200
    assert "immutable" in answer.headers["Cache-Control"]
    answer.close()


def test_a_fault_shows_nothing_of_itself(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(site.counter, "menu", broken)
    for path in ("/", "/api/menu"):
        answer = site.client.get(path)
        assert answer.status_code == 500
        assert "secret" not in answer.text


CUSTOMER = f"/staff/customers/{'0' * 32}"
STAFF_PAGES = ["/staff", "/staff/orders/list", "/staff/messages", "/staff/figures", "/staff/stock", "/staff/sold-out"]
STAFF_PAGES += ["/staff/customers", CUSTOMER]
STAFF_FORMS = ["/staff/new/drivers", f"/staff/lists/drivers/{'0' * 32}"]
STAFF_PAGES += ["/staff/lists", "/staff/lists/drivers", *STAFF_FORMS]
STAFF_BUTTONS = [
    f"/staff/orders/{'0' * 32}/cancel",
    f"/staff/orders/{'0' * 32}/send-back",
    "/staff/messages/resend",
    "/staff/messages/abort",
    "/staff/stock/receive",
    "/staff/stock/count",
    "/staff/stock/waste",
    "/staff/sold-out/off",
    "/staff/sold-out/back",
]
STAFF_BUTTONS += ["/staff/customers", *(f"{CUSTOMER}/{what}" for what in ("points/transfer", "account", "payment"))]
STAFF_BUTTONS += STAFF_FORMS


def test_every_staff_route_but_the_login_needs_a_login(site: Site) -> None:
    rules = [rule.rule.replace("<register:register>", "drivers") for rule in site.app.url_map.iter_rules()]
    known = {re.sub("<[^>]*>", "0" * 32, rule) for rule in rules if "staff" in rule}
    assert known == {*STAFF_PAGES, *STAFF_BUTTONS, "/staff/login", "/staff/logout"}
    for path in STAFF_PAGES:
        answer = site.client.get(path)
        assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/staff/login")
        assert site.client.get(path, headers={"Accept": "application/json"}).status_code == 401
    for path in [*STAFF_BUTTONS, "/staff/logout"]:
        assert site.client.post(path).status_code == 302
        assert site.client.post(path, headers={"Accept": "application/json"}).status_code == 401


def test_a_wrong_password_is_refused_in_the_same_words_as_a_wrong_name(site: Site) -> None:
    client = site.client
    token = hidden(client.get("/staff/login"), "csrf_token")
    for name, password in (("staff", "wrong"), ("nobody", "correct horse"), ("", ""), ("staff\0", "x")):
        answer = client.post("/staff/login", data={"username": name, "password": password, "csrf_token": token})
        assert answer.status_code == 401
        assert "Name or password is wrong." in answer.text


def test_the_login_leads_to_our_own_pages_only(site: Site) -> None:
    for wanted, leads_to in (
        ("/staff/messages", "/staff/messages"),
        ("/staff/figures?from=2026-10-24&to=2026-10-25", "/staff/figures?from=2026-10-24&to=2026-10-25"),
        ("https://evil.example/", "/staff"),
        ("//evil.example", "/staff"),
        ("/\\evil.example", "/staff"),
        ("/staff/../..//evil.example", "/staff"),
    ):
        client = site.client
        token = hidden(client.get("/staff/login"), "csrf_token")
        data = {"username": "staff", "password": "correct horse", "csrf_token": token, "next": wanted}
        assert client.post("/staff/login", data=data).headers["Location"] == leads_to


def test_the_cookie_is_out_of_reach(site: Site) -> None:
    plain = site.client.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in plain
    assert "SameSite=Lax" in plain
    assert "Secure" not in plain
    assert "Secure" in site.client.get("/", base_url="https://localhost").headers["Set-Cookie"]


def test_the_api_has_no_session_whatever_cookie_comes_with_a_request(site: Site) -> None:
    client = site.client
    client.get("/")
    assert client.get_cookie("pizzeria")
    headers = client.get("/api/menu").headers
    assert "Set-Cookie" not in headers
    assert "Vary" not in headers
    assert client.get("/").headers["Vary"] == "Cookie"


def test_logins_are_limited_for_this_machine_too(make_site: Callable[..., Site]) -> None:
    client = make_site(rate_limits="on", bus="memory").client
    token = hidden(client.get("/staff/login"), "csrf_token")
    data = {"username": "nobody", "password": "x", "csrf_token": token}
    statuses = [client.post("/staff/login", data=data).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]


def test_logging_out_ends_it(site: Site) -> None:
    client = log_in(site)
    assert client.get("/staff").status_code == 200
    press(client, "/staff/logout")
    assert client.get("/staff").status_code == 302


def test_an_idle_shop_says_so(site: Site) -> None:
    client = log_in(site)
    assert "Nothing to do." in client.get("/staff").text
    assert "No messages yet." in client.get("/staff/messages").text


def test_staff_see_open_orders_and_cancel_one_with_a_reason(site: Site) -> None:
    order_id, client = place(site), log_in(site)
    assert code_of(order_id) in client.get("/staff").text
    page = press(client, f"/staff/orders/{order_id}/cancel", reason="No basil\nleft")
    assert "is cancelled." in page.text
    assert site.rows("SELECT status, cancelled_reason FROM orders") == [("cancelled", "No basil left.")]
    assert site.rows("SELECT data->>'cancelled_by' FROM events WHERE type = 'OrderCancelled'") == [("staff:staff",)]


def test_staff_send_a_failed_order_back_to_the_oven(site: Site) -> None:
    order_id, client = place(site), log_in(site)
    site.run(
        "INSERT INTO tickets (order_id, state, stock_reserved, priority, placed_at, preparation_seconds)"
        f" VALUES ('{order_id}', 'failed', true, 5, now(), 600)"
    )
    site.run(
        "INSERT INTO ticket_pizzas (order_id, number, pizza, size, toppings, state, burns)"
        f" VALUES ('{order_id}', 1, 'margherita', 'large', '{{}}', 'failed', 3)"
    )
    assert "The kitchen gave up" in client.get("/staff").text
    assert "goes back to the oven" in press(client, f"/staff/orders/{order_id}/send-back").text
    assert site.rows("SELECT state FROM tickets") == [("cooking",)], "into the oven at once"
    assert site.rows("SELECT status FROM orders") == [("cooking",)]
    assert "any more" in press(client, f"/staff/orders/{order_id}/send-back", "/staff").text


def test_staff_see_messages_and_have_one_sent_again(site: Site) -> None:
    order_id, client = place(site), log_in(site)
    (customer,) = site.rows("SELECT customer_id FROM orders")
    site.run(
        "INSERT INTO messages (key, order_id, customer_id, channel, about, recipient, body, state, attempts, answer,"
        f" created_at) VALUES ('m:sms', '{order_id}', '{customer[0]}', 'sms', 'OrderPlaced', '+12025550123',"
        " '<i>Confirmed</i>', 'failed', 3, '503', now())"
    )
    page = client.get(f"/staff/messages?order={order_id}")
    assert "&lt;i&gt;Confirmed&lt;/i&gt;" in page.text
    assert "3 attempts" in page.text
    assert "Provider: 503" in page.text
    sent = press(client, "/staff/messages/resend", "/staff/messages", key="m:sms")
    assert "is asked for once more" in sent.text
    at_once = press(client, "/staff/messages/resend", "/staff/messages", key="m:sms")
    assert "sent again just now" in at_once.text
    assert site.rows("SELECT data->>'requested_by' FROM events WHERE type = 'MessageRequeued'") == [("staff:staff",)]
    assert "no such message" in press(client, "/staff/messages/resend", "/staff/messages", key="x").text
    site.run("UPDATE orders SET status = 'out_for_delivery', out_for_delivery_at = now()")
    late = press(client, "/staff/messages/resend", "/staff/messages", key="m:sms").text
    assert "Its order is out for delivery by now" in late
    assert site.rows("SELECT count(*) FROM events WHERE type = 'MessageRequeued'") == [(1,)]


def test_staff_abort_a_message_that_was_not_sent_once_and_come_back_to_the_orders_list(site: Site) -> None:
    order_id, client = place(site), log_in(site)
    assert "Nothing was said about this order yet." in client.get(f"/staff/messages?order={order_id}").text
    site.run(
        "INSERT INTO messages"
        " (key, order_id, customer_id, channel, about, recipient, body, state, attempts, created_at)"
        f" VALUES ('m:sms', '{order_id}', 'c', 'sms', 'OrderPlaced', '+12025550123', 'Confirmed', 'queued', 3, now())"
    )
    for said in ("nobody tries it again", "was aborted before"):
        page = press(client, "/staff/messages/abort", "/staff/messages", key="m:sms", order=order_id)
        assert said in page.text and page.request.args["order"] == order_id
        assert "Key: m:sms" in page.text and "/staff/messages/abort" not in page.text
        assert "Not sent: aborted by staff:staff" in page.text and "Provider" not in page.text
    assert site.rows("SELECT state, answer FROM messages") == [("aborted", "aborted by staff:staff")]
    assert site.rows("SELECT who, action, handler, reason FROM audit") == [
        ("staff:staff", "message aborted", "sms", "m:sms")
    ]
    site.run("UPDATE messages SET state = 'sent'")
    assert "cannot be aborted" in press(client, "/staff/messages/abort", "/staff/messages", key="m:sms").text
    assert "no such message" in press(client, "/staff/messages/abort", "/staff/messages", key="x").text


def test_what_staff_did_to_a_message_is_logged_once_when_it_is_done(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id, client = place(site), log_in(site)
    site.run(
        "INSERT INTO messages"
        " (key, order_id, customer_id, channel, about, recipient, body, state, attempts, created_at)"
        f" VALUES ('m:sms', '{order_id}', 'c', 'sms', 'OrderPlaced', '+12025550123', 'Confirmed', 'queued', 3, now())"
    )
    in_the_way: list[Exception] = []

    class Changed:
        def reach(self) -> None:
            if in_the_way:
                raise in_the_way.pop()

    monkeypatch.setattr("web.counter._CHANGED", Changed())
    with capture_logs() as lines:
        for what in ("resend", "abort"):
            in_the_way.append(OperationalError("COMMIT", {}, LockNotAvailable()))
            press(client, f"/staff/messages/{what}", "/staff/messages", key="m:sms")
            press(client, f"/staff/messages/{what}", "/staff/messages", key="x")
    assert [(line["event"], line["key"]) for line in lines if line["event"].startswith("message_")] == [
        ("message_requested_again", "m:sms"),
        ("message_aborted", "m:sms"),
    ]


def test_an_order_is_shown_with_the_names_of_sizes_and_toppings(site: Site) -> None:
    site.run("UPDATE sizes SET name = 'Giant' WHERE id = 'large'")
    site.run("UPDATE toppings SET name = 'Sweet-hot basil' WHERE id = 'basil'")
    client = log_in(site)
    tracked = client.post("/orders", data=fill(client), follow_redirects=True)
    for page in (tracked, client.get("/staff")):
        assert ", giant" in page.text
        assert "with sweet-hot basil, olives" in page.text


def test_a_line_of_an_old_order_is_shown_with_ids_where_it_has_no_names(site: Site) -> None:
    place(site)
    site.run(
        "UPDATE orders SET items = jsonb_set(items, '{0}', (items -> 0) - 'size_name' - 'topping_names'"
        """ || '{"toppings": ["extra-cheese"]}')"""
    )
    assert "large, with extra-cheese" in log_in(site).get("/staff").text


def test_a_password_is_never_made_up_twice(make_site: Callable[..., Site]) -> None:
    """Two web processes must sign cookies alike."""
    keys = {make_site(secret_key=None).app.config["SECRET_KEY"] for _ in range(2)}
    assert len(keys) == 1
    assert SecretStr("") not in keys
