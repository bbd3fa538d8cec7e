"""The staff's pages about the store and what is sold out, and the menu that customers see of it."""

import pytest

from tests.integration.web.conftest import Site
from tests.integration.web.test_web_api import ORDER
from tests.integration.web.test_web_pages import log_in, press

pytestmark = pytest.mark.integration

STORE, SOLD_OUT = "/staff/stock", "/staff/sold-out"


def there(site: Site, ingredient: str = "basil") -> int:
    ((quantity,),) = site.rows(f"SELECT quantity FROM ingredients WHERE id = '{ingredient}'")
    return int(quantity)


def buy(site: Site) -> int:
    """Have basil on its way; gives the purchase's number."""
    site.run(
        "INSERT INTO purchases (ingredient_id, supplier_id, quantity, ordered_at)"
        " VALUES ('basil', 'ortofrutta', 900, now())"
    )
    ((number,),) = site.rows("SELECT id FROM purchases")
    return int(number)


def test_the_staffs_pages_lead_to_the_store_and_to_what_is_sold_out(site: Site) -> None:
    page = log_in(site).get("/staff").text
    assert f'href="{STORE}"' in page and f'href="{SOLD_OUT}"' in page


def test_the_store_shows_what_is_there_and_says_when_nothing_is_on_its_way(site: Site) -> None:
    page = log_in(site).get(STORE).text
    assert "Mozzarella" in page and "110,000 g" in page and "Caseificio Bianchi" in page
    assert "Nothing is on its way." in page


def test_an_empty_store_and_menu_say_so(site: Site) -> None:
    site.run("DELETE FROM recipes; DELETE FROM toppings; DELETE FROM prices; DELETE FROM pizzas")
    site.run("DELETE FROM ingredients")
    client = log_in(site)
    assert "There is nothing in the store yet." in client.get(STORE).text
    assert "There is no pizza on the menu yet." in client.get(SOLD_OUT).text


def test_staff_take_a_purchase_in_once(site: Site) -> None:
    number, client = buy(site), log_in(site)
    assert "900 g of basil" in client.get(STORE).text
    page = press(client, f"{STORE}/receive", STORE, purchase=str(number))
    assert "900 g of basil came. There are 4900 g of basil now." in page.text
    assert "was received before." in press(client, f"{STORE}/receive", STORE, purchase=str(number)).text
    assert there(site) == 4_900
    assert site.rows("SELECT data ->> 'received_by' FROM events WHERE type = 'StockReceived'") == [("staff:staff",)]


def test_staff_count_and_waste(site: Site) -> None:
    client = log_in(site)
    assert "There are 3990 g" in press(client, f"{STORE}/count", STORE, ingredient="basil", quantity=" 3990 ").text
    assert "There are 3900 g" in press(client, f"{STORE}/waste", STORE, ingredient="basil", quantity="90").text
    assert site.rows("SELECT reason, quantity FROM stock_movements WHERE reason <> 'received' ORDER BY id") == [
        ("counted", -10),
        ("wasted", -90),
    ]


@pytest.mark.parametrize(
    ("path", "data", "said"),
    [
        ("count", {"ingredient": "basil", "quantity": "-1"}, "Count a whole number from 0 to 1000000000000."),
        ("count", {"ingredient": "basil"}, "Count a whole number from 0 to 1000000000000."),
        ("count", {"quantity": "1"}, "Choose an ingredient."),
        ("count", {"ingredient": "<b>\0", "quantity": "1"}, "No ingredient is called &lt;b&gt;."),
        ("waste", {"ingredient": "basil", "quantity": "9" * 99}, "Waste a whole number from 1 to 1000000000000."),
        ("waste", {"ingredient": "basil", "quantity": "4001"}, "no more than 4000 g of basil to waste."),
        ("receive", {"purchase": "one"}, "Choose a purchase that is on its way."),
        ("receive", {"purchase": "7"}, "There is no purchase 7."),
    ],
)
def test_nonsense_is_refused_in_a_sentence(site: Site, path: str, data: dict[str, str], said: str) -> None:
    client = log_in(site)
    page = press(client, f"{STORE}/{path}", STORE, **data)
    assert page.status_code == 200
    assert said in page.text
    assert site.rows("SELECT count(*) FROM stock_movements WHERE reason <> 'received'") == [(0,)]


def test_a_button_that_another_site_presses_changes_nothing(site: Site) -> None:
    number, client = buy(site), log_in(site)
    for path, data in (
        (f"{STORE}/receive", {"purchase": str(number)}),
        (f"{STORE}/waste", {"ingredient": "basil", "quantity": "5"}),
        (f"{SOLD_OUT}/off", {"pizza": "diavola"}),
    ):
        assert client.post(path, data=data).status_code == 303
    assert there(site) == 4_000
    assert site.rows("SELECT state FROM purchases") == [("open",)]
    assert site.rows("SELECT count(*) FROM pizzas WHERE off_until IS NOT NULL") == [(0,)]


def test_staff_take_a_pizza_off_for_the_day_and_put_it_back(site: Site) -> None:
    client = log_in(site)
    page = press(client, f"{SOLD_OUT}/off", SOLD_OUT, pizza="margherita")
    assert "off the menu for the rest of the day" in page.text and "Off until" in page.text
    site.counter._menu._menu = None  # which is a second old at the most
    refused = site.client.post("/api/orders", json=ORDER)
    assert refused.status_code == 422
    assert {"field": "items.0.pizza", "problem": "Margherita is sold out."} in refused.get_json()["errors"]
    assert "Sold out today" in site.client.get("/").text
    assert "on the menu again" in press(client, f"{SOLD_OUT}/back", SOLD_OUT, pizza="margherita").text
    site.counter._menu._menu = None
    assert site.client.post("/api/orders", json=ORDER).status_code == 201
    assert "There is no such pizza." in press(client, f"{SOLD_OUT}/off", SOLD_OUT, pizza="hawaii").text


def test_a_size_that_the_store_cannot_make_is_shown_as_sold_out_and_refused(site: Site) -> None:
    client = log_in(site)
    press(client, f"{STORE}/count", STORE, ingredient="basil", quantity="4")  # a large margherita takes 6
    site.counter._menu._menu = None
    page = site.client.get("/").text
    assert "Large: sold out today" in page
    assert 'value="margherita:large"' not in page and 'value="margherita:medium"' in page
    (pizza,) = [p for p in site.client.get("/api/menu").get_json()["pizzas"] if p["id"] == "margherita"]
    assert (pizza["sold_out"], pizza["sold_out_sizes"]) == (False, ["large"])
    large = ORDER | {"items": [{"pizza": "margherita", "size": "large", "quantity": 1}]}
    refused = site.client.post("/api/orders", json=large)
    assert refused.get_json()["errors"] == [
        {"field": "items.0.size", "problem": "Margherita is sold out in this size."}
    ]
    assert "Too little for large" in client.get(SOLD_OUT).text
    press(client, f"{STORE}/count", STORE, ingredient="basil", quantity="0")
    assert "Too little in the store" in client.get(SOLD_OUT).text


def test_mail_about_a_purchase_stands_among_the_messages_and_can_be_sent_again(site: Site) -> None:
    number, client = buy(site), log_in(site)
    site.run(
        "INSERT INTO messages (key, purchase_id, channel, about, recipient, subject, body, state, attempts, created_at)"
        f" VALUES ('m:email', {number}, 'email', 'PurchaseOrdered', 'orders@ortofrutta.example', 'Purchase', 'Please',"
        " 'sent', 1, now())"
    )
    page = client.get("/staff/messages").text
    assert "E-mail, purchase" in page and f"purchase {number}</a>" in page
    assert "is asked for once more" in press(client, "/staff/messages/resend", "/staff/messages", key="m:email").text
    assert "sent again just now" in press(client, "/staff/messages/resend", "/staff/messages", key="m:email").text
    assert site.rows("SELECT data ->> 'requested_by' FROM events WHERE type = 'SupplierReminded'") == [("staff:staff",)]
