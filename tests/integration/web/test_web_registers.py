"""The registers as JSON: read and written, refused and retired, and never a word of it in the log of events."""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from werkzeug.test import TestResponse

from domain import menu_import, price_list
from domain.database import ADVISORY_LOCKS
from domain.menu import FRESH_SECONDS
from domain.registers import registers
from tests.conftest import until
from tests.integration.web.conftest import Site
from tests.integration.web.test_web_api import NOTHING, ORDER
from tests.integration.web.test_web_pages import log_in

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_events")]

MANAGER = ("staff", "correct horse")
SUPPLIER = {"name": "Pescheria Blu", "email": "orders@pescheria.example", "phone": "+390612345605", "lead_days": 1}
NEW: dict[str, dict[str, Any]] = {
    "customers": {"name": "Grace", "phone": "+12025550177", "email": "grace@example.com"},
    "drivers": {"name": "Ada"},
    "ingredients": {"name": "Tuna", "unit": "g", "minimum_threshold": 500, "supplier": "molino"},
    "pizzas": {
        "name": "Tonno",
        "description": "Tuna and onions.",
        "sizes": {
            "large": {"price": "14.50", "recipe": {"dough": 350, "onions": 40}},
            "small": {"price": "9.00", "recipe": {}},
        },
    },
    "sizes": {"name": "Family"},
    "suppliers": SUPPLIER,
    "toppings": {"name": "Capers", "price": "0.90", "ingredient": "olives", "quantity": 10},
}
"""Something new for each register."""


def ask(site: Site, method: str, path: str, payload: Any = None, auth: Any = MANAGER) -> TestResponse:
    body = {} if payload is None else {"json": payload}
    return site.client.open(f"/api/{path}", method=method, auth=auth, **body)


def add(site: Site, register: str, **changes: Any) -> Any:
    answer = ask(site, "POST", register, NEW[register] | changes)
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def fields(answer: TestResponse) -> list[str]:
    errors = answer.get_json()["errors"]
    assert all(error["problem"].endswith(".") for error in errors)
    return [error["field"] for error in errors]


def kept(site: Site) -> dict[str, list[tuple[Any, ...]]]:
    """All that registers keep."""
    tables = {register.table for register in registers().values()} | {"prices", "recipes"}
    with psycopg.connect(site.url) as session:
        return {
            table: session.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3".encode()).fetchall()
            for table in sorted(tables)
        }


@pytest.mark.parametrize("name", [name for name in registers() if name != "customers"])
def test_an_entry_is_written_down_read_changed_retired_and_brought_back(site: Site, name: str) -> None:
    added = add(site, name)
    assert added == added | NEW[name]
    path = f"{name}/{added['id']}"
    assert ask(site, "GET", path).get_json() == added
    assert added in ask(site, "GET", name).get_json()[name]

    changed = ask(site, "PUT", path, added | {"name": "Another name"}).get_json()
    assert changed == added | {"name": "Another name", "version": changed["version"]}
    assert changed["version"] != added["version"]
    retired = ask(site, "DELETE", path).get_json()
    assert retired == changed | {"retired": True, "version": retired["version"]}
    assert ask(site, "DELETE", path).get_json() == retired
    back = ask(site, "PUT", path, retired | {"retired": False}).get_json()
    assert back == changed


@pytest.mark.parametrize("name", registers())
def test_what_is_not_there_is_404(site: Site, name: str) -> None:
    before = kept(site)
    for entry in ("hawaii", "0", "999999999", "9" * 40, "-1", "%00", "%ED%A0%80", "a%20b", "x" * 300):
        for method, payload in (("GET", None), ("PUT", NEW[name] | {"version": "0" * 16}), ("DELETE", None)):
            answer = ask(site, method, f"{name}/{entry}", payload)
            assert (answer.status_code, fields(answer)) == (404, [""]), entry
    assert kept(site) == before


TOO_MUCH: tuple[Any, ...] = (None, True, -1, 10**10, 10**400, 1.5, "", "x" * 5000, "\0", "\ud800", [], {}, [[{}]] * 9)


@pytest.mark.parametrize("name", registers())
def test_whatever_a_field_holds_there_is_no_fault_and_what_is_refused_is_not_kept(site: Site, name: str) -> None:
    entry = add(site, name)
    before = kept(site)
    for field, nonsense in product(registers()[name].entry.model_fields, TOO_MUCH):
        for method, path, good in (("POST", name, NEW[name]), ("PUT", f"{name}/{entry['id']}", entry)):
            answer = ask(site, method, path, good | {field: nonsense})
            if answer.status_code in {200, 201}:
                entry = ask(site, "GET", f"{name}/{entry['id']}").get_json()
                before = kept(site)
                continue
            assert answer.status_code in {409, 422}, (field, nonsense, answer.text)
            assert any(found.split(".")[0] in {field, "name", "phone", "version"} for found in fields(answer))
            assert kept(site) == before


@pytest.mark.parametrize("name", registers())
def test_what_is_no_entry_at_all_is_refused(site: Site, name: str) -> None:
    entry = add(site, name)
    before = kept(site)
    no_entries: tuple[Any, ...] = ([], "x", 1, True, {}, {"name": 1, "zz": 1}, [[]], {"\ud800": 1})
    unreadable = (b"", b"{", b"\xff", b'{"name": "a", "name": "b"}', b"[" * 9000, b'{"name": NaN}')
    for body in (*(json.dumps(each).encode() for each in no_entries), *unreadable):
        for method, path in (("POST", name), ("PUT", f"{name}/{entry['id']}")):
            answer = site.client.open(
                f"/api/{path}", method=method, auth=MANAGER, data=body, content_type="application/json"
            )
            assert answer.status_code == (400 if body in unreadable else 422), body
            assert fields(answer) == ["body"] or body not in unreadable
    assert kept(site) == before


@pytest.mark.parametrize("name", registers())
def test_only_staff_read_and_only_managers_change(site: Site, name: str) -> None:
    site.run("INSERT INTO staff SELECT 'cook', password_hash, 'cook' FROM staff")
    entry = add(site, name)
    before = kept(site)
    every = [("GET", name), ("POST", name)] + [(method, f"{name}/{entry['id']}") for method in ("GET", "PUT", "DELETE")]
    for method, path in every:
        for auth in (None, ("staff", "wrong")):
            answer = ask(site, method, path, entry if method in {"POST", "PUT"} else None, auth)
            assert (answer.status_code, fields(answer)) == (401, [""])
        answer = ask(site, method, path, entry if method in {"POST", "PUT"} else None, ("cook", "correct horse"))
        assert answer.status_code == (200 if method == "GET" else 403)
    assert kept(site) == before


@pytest.mark.parametrize("name", registers())
def test_whoever_adds_changes_and_removes_an_entry_stands_in_the_audit(site: Site, name: str) -> None:
    site.run("INSERT INTO staff SELECT 'luisa', password_hash, 'manager' FROM staff")
    entry = add(site, name)
    path, about = f"{name}/{entry['id']}", f"{name}:{entry['id']}"
    assert ask(site, "PUT", path, entry | {"version": "0" * 16}).status_code == 409
    assert ask(site, "PUT", path, entry | {"name": "Another name"}, ("luisa", "correct horse")).status_code == 200
    assert ask(site, "DELETE", path).status_code == 200
    assert site.rows("SELECT who, action, reason FROM audit ORDER BY id") == [
        ("staff:staff", "entry added", about),
        ("staff:luisa", "entry changed", about),
        ("staff:staff", "entry removed", about),
    ]


@pytest.mark.parametrize("name", registers())
def test_what_is_removed_as_it_was_read_is_left_alone_where_somebody_changed_it_meanwhile(
    site: Site, name: str
) -> None:
    entry = add(site, name)
    path = f"{name}/{entry['id']}"
    corrected = ask(site, "PUT", path, entry | {"name": "Another name"}).get_json()
    before = kept(site)
    for stale in (entry["version"], "", "x", "\0"):
        answer = ask(site, "DELETE", f"{path}?{urlencode({'version': stale})}")
        assert (answer.status_code, fields(answer)) == (409, ["version"]), stale
    assert kept(site) == before
    assert ask(site, "DELETE", f"{path}?version={corrected['version']}").status_code == 200


def test_right_passwords_are_not_limited_and_guesses_are(make_site: Callable[..., Site]) -> None:
    site = make_site(rate_limits="on", bus="memory")
    assert {ask(site, "GET", "drivers/1").status_code for _ in range(12)} == {200}
    guesses = [ask(site, "GET", path, auth=("staff", "x")).status_code for path in ["drivers", "suppliers"] * 6]
    assert guesses == [401] * 10 + [429] * 2


@pytest.mark.parametrize("name", registers())
def test_of_two_who_change_one_entry_at_once_the_second_is_told(site: Site, name: str) -> None:
    entry = add(site, name)
    with ThreadPoolExecutor(6) as managers:
        answers = list(
            managers.map(
                lambda number: ask(site, "PUT", f"{name}/{entry['id']}", entry | {"name": f"Name {number}"}), range(6)
            )
        )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    (done,) = [answer.get_json() for answer in answers if answer.status_code == 200]
    assert ask(site, "GET", f"{name}/{entry['id']}").get_json() == done
    assert {tuple(fields(answer)) for answer in answers if answer.status_code == 409} == {("version",)}


def test_whoever_changes_a_register_waits_until_nobody_else_does(site: Site) -> None:
    with psycopg.connect(site.url) as other, ThreadPoolExecutor(1) as managers:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCKS["registers"]])
        change = managers.submit(ask, site, "POST", "drivers", NEW["drivers"])
        until(lambda: site.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory'"), 10)
        other.commit()
        assert change.result(10).status_code == 201


@pytest.mark.parametrize("name", [name for name, register in registers().items() if register.known_by == "name"])
def test_a_name_is_given_once_whoever_asks_first(site: Site, name: str) -> None:
    with ThreadPoolExecutor(4) as managers:
        answers = list(managers.map(lambda _: ask(site, "POST", name, NEW[name]), range(4)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 3
    shouted = ask(site, "POST", name, NEW[name] | {"name": NEW[name]["name"].upper()})
    assert (shouted.status_code, fields(shouted)) == (409, ["name"])
    done = next(answer for answer in answers if answer.status_code == 201).get_json()
    ask(site, "DELETE", f"{name}/{done['id']}")
    assert "bring that one back" in ask(site, "POST", name, NEW[name]).text


def test_a_name_of_which_nothing_is_seen_is_told_so(site: Site) -> None:
    answer = ask(site, "POST", "drivers", {"name": "\u200b\u3164"})
    assert answer.get_json()["errors"] == [{"field": "name", "problem": "Give a name that can be read."}]


def test_a_name_is_the_same_however_its_accents_were_typed(site: Site) -> None:
    assert add(site, "sizes", name="Cafe\u0301")["name"] == "Caf\u00e9"
    for name in ("Cafe\u0301", "Caf\u00e9"):
        answer = ask(site, "POST", "sizes", {"name": name})
        assert (answer.status_code, fields(answer)) == (409, ["name"])


@pytest.mark.parametrize("name", ["pizzas", "sizes", "toppings"])
def test_what_is_written_down_can_be_sent_back_as_it_was_read_also_at_the_end_of_a_list(site: Site, name: str) -> None:
    add(site, name, name="One before the end", position=999_999)
    last = add(site, name)
    assert last["position"] == 1_000_000
    assert ask(site, "PUT", f"{name}/{last['id']}", last).get_json() == last
    before = kept(site)
    answer = ask(site, "POST", name, NEW[name] | {"name": "Beyond"})
    assert (answer.status_code, fields(answer)) == (409, ["position"])
    assert kept(site) == before
    assert add(site, name, name="Beyond", position=999_998)["position"] == 999_998


def order(pizza: str = "margherita", size: str = "large", **item: Any) -> dict[str, Any]:
    return ORDER | {"items": [{"pizza": pizza, "size": size, "quantity": 1} | item]}


def refused(site: Site, payload: dict[str, Any]) -> str:
    """Order what must not be had; gives what is said about it."""
    site.counter._menu._menu = None  # which is a second old at the most
    answer = site.client.post("/api/orders", json=payload)
    assert answer.status_code == 422
    return str(answer.get_json()["errors"][0]["problem"])


@pytest.mark.parametrize(
    ("path", "payload", "said"),
    [
        ("pizzas/margherita", order(), "There is no such pizza on the menu."),
        ("sizes/large", order(), "Margherita does not come in this size."),
        ("toppings/basil", order(toppings=["basil"]), "There is no such topping."),
    ],
)
def test_what_is_retired_cannot_be_ordered_until_it_is_brought_back(
    site: Site, path: str, payload: dict[str, Any], said: str
) -> None:
    retired = ask(site, "DELETE", path).get_json()
    assert refused(site, payload) == said
    assert site.saved() == NOTHING
    ask(site, "PUT", path, retired | {"retired": False})
    site.counter._menu._menu = None
    assert site.client.post("/api/orders", json=payload).status_code == 201


def test_the_menu_of_every_process_follows_within_a_second(make_site: Callable[..., Site]) -> None:
    here, elsewhere = make_site(), make_site()
    assert "capers" not in elsewhere.client.get("/api/menu").text
    add(here, "toppings")
    until(lambda: "capers" in elsewhere.client.get("/api/menu").text, FRESH_SECONDS + 5)
    assert FRESH_SECONDS <= 1


def test_an_old_order_keeps_its_price_its_name_and_its_size(site: Site) -> None:
    placed = site.client.post("/api/orders", json=order(toppings=["basil"])).get_json()
    page = site.client.get(f"/orders/{placed['id']}").text
    margherita = ask(site, "GET", "pizzas/margherita").get_json()
    margherita["sizes"]["large"]["price"] = "99.00"
    ask(site, "PUT", "pizzas/margherita", margherita | {"name": "Regina"})
    large = ask(site, "GET", "sizes/large").get_json()
    ask(site, "PUT", "sizes/large", large | {"name": "Grande"})
    for path in ("pizzas/margherita", "sizes/large", "toppings/basil"):
        assert ask(site, "DELETE", path).status_code == 200
    again = site.client.get(f"/api/orders/{placed['id']}").get_json()
    assert (again["items"], again["total"]) == (placed["items"], placed["total"])
    assert re.findall("<li><div>.*", site.client.get(f"/orders/{placed['id']}").text) == re.findall("<li><div>.*", page)


def test_a_new_pizza_is_ordered_at_its_price_and_a_size_that_is_left_out_is_no_longer_sold(site: Site) -> None:
    tonno = add(site, "pizzas")
    ask(site, "PUT", "pizzas/tonno", tonno | {"sizes": {"small": {"price": "9.50"}}})
    assert refused(site, order("tonno")) == "Tonno does not come in this size."
    assert site.rows("SELECT count(*) FROM recipes WHERE pizza_id = 'tonno'") == [(2,)], "for orders on their way"
    (shown,) = [pizza for pizza in site.client.get("/api/menu").get_json()["pizzas"] if pizza["id"] == "tonno"]
    assert shown["prices"] == {"small": "9.50"}


@pytest.mark.parametrize(
    ("path", "changes", "status", "field"),
    [
        ("pizzas", {"sizes": {"huge": {"price": "1.00"}}}, 422, "sizes.huge"),
        ("pizzas", {"sizes": {"large": {"price": "0.00"}}}, 422, "sizes.large.price"),
        ("pizzas", {"sizes": {"large": {"price": 12}}}, 422, "sizes.large.price"),
        ("pizzas", {"sizes": {"large": {"price": "12.345"}}}, 422, "sizes.large.price"),
        ("pizzas", {"sizes": {"large": {"price": "99999999.00"}}}, 422, "sizes.large.price"),
        ("pizzas", {"sizes": {"large": {"price": "1", "recipe": {"gold": 1}}}}, 422, "sizes.large.recipe"),
        ("pizzas", {"sizes": {"large": {"price": "1", "recipe": {"basil": 0}}}}, 422, "sizes.large.recipe.basil"),
        ("pizzas", {"sizes": {"\0": {"price": "1"}}}, 422, "sizes.\0.[key]"),
        ("sizes", {"position": 2}, 409, "position"),
        ("toppings", {"ingredient": "gold"}, 422, "ingredient"),
        ("ingredients", {"supplier": "nobody"}, 422, "supplier"),
        ("suppliers", {"phone": "12"}, 422, "phone"),
        ("suppliers", {"name": "!!!"}, 422, "name"),
        ("drivers", {"name": "\u3164"}, 422, "name"),
        ("ingredients", {"minimum_threshold": 333_333_333_334}, 422, "minimum_threshold"),
        ("suppliers", {"id": "mine"}, 422, "id"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(
    site: Site, path: str, changes: dict[str, Any], status: int, field: str
) -> None:
    before = kept(site)
    answer = ask(site, "POST", path, NEW[path] | changes)
    assert (answer.status_code, fields(answer)) == (status, [field])
    assert kept(site) == before


def test_what_needs_a_retired_thing_cannot_be(site: Site) -> None:
    needed = {"fontina": "Quattro formaggi", "mozzarella": "Capricciosa, Diavola, Extra cheese and 5 more"}
    for ingredient, users in needed.items():
        answer = ask(site, "DELETE", f"ingredients/{ingredient}")
        assert (answer.status_code, fields(answer)) == (409, ["retired"])
        (error,) = answer.get_json()["errors"]
        assert error["problem"] == f"It is needed for {users}: change or retire that first."
    add(site, "ingredients")
    ask(site, "DELETE", "ingredients/tuna")
    answer = ask(site, "POST", "toppings", NEW["toppings"] | {"ingredient": "tuna"})
    assert (answer.status_code, fields(answer)) == (422, ["ingredient"])
    answer = ask(site, "POST", "pizzas", NEW["pizzas"] | {"sizes": {"large": {"price": "1", "recipe": {"tuna": 1}}}})
    assert (answer.status_code, fields(answer)) == (422, ["sizes.large.recipe"])
    basil = ask(site, "GET", "toppings/basil").get_json()
    for path in ("pizzas/margherita", "toppings/basil", "ingredients/basil"):
        assert ask(site, "DELETE", path).status_code == 200
    margherita = ask(site, "GET", "pizzas/margherita").get_json()
    renamed = ask(site, "PUT", "pizzas/margherita", margherita | {"name": "Regina"}).get_json()
    assert renamed["name"] == "Regina", "a retired one may be corrected"
    back = ask(site, "PUT", "pizzas/margherita", renamed | {"retired": False})
    assert (back.status_code, fields(back)) == (422, ["sizes.large.recipe"])
    version = ask(site, "GET", "toppings/basil").get_json()["version"]
    back = ask(site, "PUT", "toppings/basil", basil | {"version": version})
    assert (back.status_code, fields(back)) == (422, ["ingredient"])


def test_being_logged_in_on_the_pages_does_not_open_the_api(site: Site) -> None:
    assert log_in(site).get("/api/drivers").status_code == 401


def test_a_price_list_brings_back_what_staff_have_retired(site: Site, tmp_path: Path) -> None:
    for path in ("pizzas/margherita", "sizes/large"):
        ask(site, "DELETE", path)
    (tmp_path / "menu.csv").write_text("name,size,price\nMargherita,Large,13.00\n")
    with site.counter.database.begin("import") as work:
        changes = menu_import.apply(work, price_list.read(str(tmp_path / "menu.csv")), replace=False)
    assert changes.added == ["Margherita", "Large"]
    site.counter._menu._menu = None
    assert "large" in site.counter.menu().pizzas["margherita"].prices


def test_a_supplier_whom_the_store_needs_cannot_be_retired(site: Site) -> None:
    answer = ask(site, "DELETE", "suppliers/molino")
    assert (answer.status_code, fields(answer)) == (409, ["retired"])
    assert "Pizza dough" in answer.text
    molino = ask(site, "GET", "suppliers/molino").get_json()
    assert ask(site, "PUT", "suppliers/molino", molino | {"retired": True}).status_code == 409


def test_drivers_are_taken_on_beyond_the_numbers_of_the_settings(site: Site) -> None:
    assert [add(site, "drivers", name=name)["id"] for name in ("Ada", "Bob")] == [10_001, 10_002]
    luigi = ask(site, "GET", "drivers/1").get_json()
    assert (luigi["name"], luigi["on_duty"]) == ("Luigi", True)
    sick = ask(site, "PUT", "drivers/1", luigi | {"on_duty": False}).get_json()
    assert site.rows("SELECT active FROM drivers WHERE id = 1") == [(False,)]
    site.run("UPDATE drivers SET active = true WHERE id = 1")  # as by command, meanwhile
    assert ask(site, "PUT", "drivers/1", sick | {"name": "Gino"}).status_code == 409
