"""The registers as pages: lists and forms, as browsers without scripts send them."""

import re
from typing import Any

import pytest

from domain.registers import registers
from tests.integration.web.conftest import Site
from tests.integration.web.test_web_pages import hidden, log_in

pytestmark = pytest.mark.integration

PIZZA = {
    "name": "Tonno <b>",
    "description": "Tuna\r\nand onions.",
    "vegetarian": "yes",
    "price:large": "14.50",
    "recipe:large": "dough 350; onions 40",
    "price:small": "9",
    "recipe:small": "",
    "price:medium": "",
}


@pytest.mark.parametrize("name", registers())
def test_every_register_has_a_list_and_forms(site: Site, name: str) -> None:
    client = log_in(site)
    assert f'href="/staff/lists/{name}"' in client.get("/staff/lists").text
    assert ">Lists</a>" in client.get("/staff").text
    page = client.get(f"/staff/lists/{name}")
    assert page.status_code == 200
    form = client.get(f"/staff/new/{name}")
    assert form.status_code == 200 and "aria-invalid" not in form.text
    empty = client.post(f"/staff/new/{name}", data={"csrf_token": hidden(form, "csrf_token")})
    assert empty.status_code == 422 and "Give a name of at most 80 characters." in empty.text
    if name != "customers":
        first = re.findall(rf'href="(/staff/lists/{name}/[^"]+)"', page.text)[0]
        shown = client.get(first)
        assert shown.status_code == 200
        before = site.rows(f"SELECT * FROM {registers()[name].table} ORDER BY 1")
        values = re.findall(r'<input (?!type="checkbox").*? name="([^"]+)".*? value="([^"]*)"', shown.text)
        values += re.findall(r'name="([^"]+)" value="(yes)" checked', shown.text)
        values += re.findall(r'<select id="([^"]+)".*?<option value="([^"]*)" selected', shown.text, re.DOTALL)
        values += re.findall(r'<textarea id="([^"]+)"[^>]*>([^<]*)<', shown.text)
        assert client.post(first, data=dict(values)).status_code == 303
        assert site.rows(f"SELECT * FROM {registers()[name].table} ORDER BY 1") == before, "as it was read"
    else:
        assert "There is no customer yet." in page.text


def test_a_pizza_is_put_on_the_menu_by_a_form_and_can_be_ordered(site: Site) -> None:
    client = log_in(site)
    data = PIZZA | {"csrf_token": hidden(client.get("/staff/new/pizzas"), "csrf_token")}
    page = client.post("/staff/new/pizzas", data=data, follow_redirects=True)
    assert "Tonno &lt;b&gt; is written down." in page.text and "<b>" not in page.text
    assert "Vegetarian" in page.text and "Large 14.50" in page.text
    assert site.rows("SELECT size_id, price::text FROM prices WHERE pizza_id = 'tonno-b' ORDER BY 1") == [
        ("large", "14.50"),
        ("small", "9.00"),
    ]
    assert site.rows("SELECT ingredient_id, quantity FROM recipes WHERE pizza_id = 'tonno-b' ORDER BY 1") == [
        ("dough", 350),
        ("onions", 40),
    ]
    (about,) = site.rows("SELECT description, vegetarian FROM pizzas WHERE id = 'tonno-b'")
    assert about == ("Tuna and onions.", True)
    assert site.saved()["events"] == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "Margherita"}, "Another pizza has this name."),
        ({"name": ""}, "Give a name of at most 80 characters."),
        ({"price:large": "much"}, "Large: Give a price above 0, such as “12.50”."),
        ({"recipe:large": "a pinch of salt"}, "Write a recipe like"),
        ({"recipe:large": "gold 5"}, "The store has no gold."),
        ({"price:\ud7ff": "5"}, "There is no such size."),
        ({"position": "first"}, "Give a whole number from 1"),
        ({"name": "a\x00b"}, "ordinary characters"),
        ({"csrf_token": "forged"}, "That did not reach us."),
    ],
)
def test_what_cannot_be_kept_is_said_beside_its_field_and_stays_typed(
    site: Site, changes: dict[str, str], said: str
) -> None:
    client = log_in(site)
    data = PIZZA | {"csrf_token": hidden(client.get("/staff/new/pizzas"), "csrf_token")} | changes
    page = client.post("/staff/new/pizzas", data=data)
    assert page.status_code in {409, 422}
    assert said in page.text
    assert 'value="9"' in page.text and "Tuna and onions." in page.text
    assert site.rows("SELECT count(*) FROM pizzas") == [(8,)]


def test_whoever_saves_what_another_has_changed_is_told_and_overwrites_nothing(site: Site) -> None:
    client = log_in(site)
    form: dict[str, Any] = {
        name: hidden(client.get("/staff/lists/drivers/1"), name) for name in ("csrf_token", "version", "name")
    }
    assert client.post("/staff/lists/drivers/1", data=form | {"name": "Gino", "on_duty": "yes"}).status_code == 303
    late = client.post("/staff/lists/drivers/1", data=form | {"name": "Luca", "on_duty": "yes"})
    assert late.status_code == 409
    assert "Somebody else changed this meanwhile" in late.text and 'value="Luca"' in late.text
    assert site.rows("SELECT name FROM drivers WHERE id = 1") == [("Gino",)]
    data = {"csrf_token": form["csrf_token"], "name": "Ada"}
    assert client.post("/staff/new/drivers", data=data).status_code == 303
    assert site.rows("SELECT who, action, reason FROM audit ORDER BY id") == [
        ("staff:staff", "entry changed", "drivers:1"),
        ("staff:staff", "entry added", "drivers:10001"),
    ]


def test_only_managers_get_the_forms(site: Site) -> None:
    site.run("UPDATE staff SET role = 'cook'")
    client = log_in(site)
    page = client.get("/staff/lists/drivers")
    assert page.status_code == 200 and "New driver" not in page.text and "/staff/lists/drivers/1" not in page.text
    token = hidden(client.get("/staff"), "csrf_token")
    for path in ("/staff/new/drivers", "/staff/lists/drivers/1"):
        assert client.get(path).status_code == 403
        assert client.post(path, data={"csrf_token": token, "name": "Eve", "version": "0" * 16}).status_code == 403
    assert site.rows("SELECT count(*) FROM drivers WHERE name = 'Eve'") == [(0,)]
    assert site.client.get("/staff/lists").status_code == 302


@pytest.mark.parametrize("path", ["lists/nothing", "lists/drivers/0", "lists/pizzas/%00", "new/nothing"])
def test_what_is_not_there_is_404(site: Site, path: str) -> None:
    assert log_in(site).get(f"/staff/{path}").status_code == 404


def test_the_newest_customers_lead_on_to_the_older_ones(site: Site) -> None:
    site.run(
        "INSERT INTO customers (id, phone, name, created_at)"
        " SELECT lpad(n::text, 32, '0'), '+1202555' || lpad(n::text, 4, '0'), 'Guest ' || n, now()"
        " FROM generate_series(1, 201) n"
    )
    client, path, counts = log_in(site), "/staff/lists/customers", []
    while path:
        page = client.get(path).text
        counts.append(page.count('<li class="panel">'))
        assert ("Newest" in page) == (len(counts) > 1)
        path = "".join(re.findall(r'href="([^"]+)">Older<', page))
    assert counts == [100, 100, 1]
    site.run("DELETE FROM customers WHERE name = 'Guest 1'")
    page = client.get(f"/staff/lists/customers?after={2:032}").text
    assert "There are no older customers." in page and "Older<" not in page
    assert client.get("/staff/lists/customers?after=x").status_code == 404
    assert "Older<" not in client.get("/staff/lists/sizes").text
    assert ">Customers</a>" in client.get(f"/staff/lists/customers/{2:032}").text, "not all of them"
