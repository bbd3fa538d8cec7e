"""The JSON API on a real database."""

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import psycopg
import pytest
from werkzeug.test import TestResponse

from domain.registers import registers
from tests.conftest import until
from tests.integration.web.conftest import Site

pytestmark = pytest.mark.integration

NOTHING = {"orders": 0, "events": 0, "outbox": 0, "customers": 0}
ONE = {"orders": 1, "events": 1, "outbox": 1, "customers": 1}
ORDER: dict[str, Any] = {
    "customer": {"name": "Ada", "phone": "+1 202 555 0123", "email": "ada@example.com"},
    "fulfilment": "delivery",
    "address": "12 Analytical Row",
    "payment": "cash",
    "items": [
        {"pizza": "margherita", "size": "large", "quantity": 2, "toppings": ["basil"], "note": "well done"},
        {"pizza": "marinara", "size": "small", "quantity": 1},
    ],
}


def post(site: Site, payload: object = ORDER, **headers: str) -> TestResponse:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return site.client.post("/api/orders", json=payload, headers=names)


def test_an_order_is_saved_with_exactly_one_event(site: Site) -> None:
    answer = post(site)
    placed = answer.get_json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/orders/{placed['id']}"
    assert re.fullmatch("[0-9a-f]{40}", placed["id"])
    assert placed["tracking_url"].endswith(f"/orders/{placed['id']}")
    assert (placed["status"], placed["fulfilment"], placed["payment"]) == ("placed", "delivery", "cash")
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", placed[name]) for name in placed if name.endswith("_at"))
    assert site.saved() == ONE
    ((kind, data),) = site.rows("SELECT type, data FROM events")
    assert kind == "OrderPlaced"
    assert (data["order_id"], data["total_amount"]) == (placed["id"], placed["total"])


def test_an_order_of_the_first_days_whose_id_bears_no_time_is_still_found(site: Site) -> None:
    placed = post(site).get_json()
    site.run("UPDATE orders SET id = right(id, 32)")
    found = site.client.get(f"/api/orders/{placed['id'][8:]}").get_json()
    assert (found["id"], found["code"]) == (placed["id"][8:], placed["code"])


def test_prices_come_from_the_menu_and_the_tax_is_shown(make_site: Callable[..., Site]) -> None:
    placed = post(make_site(tax_rate="0.08875")).get_json()
    # 2 × (13.00 + 0.60) + 7.20, tax 3.053 rounded half up
    assert [item["unit_price"] for item in placed["items"]] == ["13.60", "7.20"]
    assert [item["line_total"] for item in placed["items"]] == ["27.20", "7.20"]
    assert (placed["subtotal"], placed["tax"], placed["total"]) == ("34.40", "3.05", "37.45")


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (ORDER | {"items": [{"pizza": "hawaii", "size": "large", "quantity": 1}]}, "items.0.pizza"),
        (ORDER | {"items": [{"pizza": "diavola", "size": "huge", "quantity": 1}]}, "items.0.size"),
        (ORDER | {"items": [{"pizza": "diavola", "size": "large", "quantity": True}]}, "items.0.quantity"),
        (ORDER | {"items": []}, "items"),
        (ORDER | {"customer": {"name": "Ada\x00", "phone": "+1 202 555 0123"}}, "customer.name"),
        (ORDER | {"payment": "card"}, "card_token"),
        (ORDER | {"address": None}, "address"),
        (ORDER | {"discount": "100%"}, "discount"),
        ([], ""),
    ],
)
def test_a_bad_order_is_422_and_leaves_nothing(site: Site, payload: object, field: str) -> None:
    answer = post(site, payload)
    assert answer.status_code == 422
    assert field in [error["field"] for error in answer.get_json()["errors"]]
    assert site.saved() == NOTHING


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff{}", "application/json", 400),
        (b'{"a": NaN}', "application/json", 400),
        (b'{"a": ' + b"9" * 5000 + b"}", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b'{"payment": "cash", "payment": "card"}', "application/json", 400),
        (json.dumps(ORDER).encode(), "text/plain", 415),
        (json.dumps(ORDER).encode(), "application/x-www-form-urlencoded", 415),
        (b" " * 66_000 + json.dumps(ORDER).encode(), "application/json", 413),
    ],
)
def test_an_unreadable_body_is_refused_and_leaves_nothing(site: Site, body: bytes, kind: str, status: int) -> None:
    answer = site.client.post("/api/orders", data=body, content_type=kind)
    assert answer.status_code == status
    ((error),) = answer.get_json()["errors"]
    assert error["problem"].endswith(".")
    assert "Traceback" not in answer.text
    assert site.saved() == NOTHING


def test_a_lone_surrogate_in_a_name_is_a_problem_not_a_fault(site: Site) -> None:
    body = json.dumps(ORDER | {"note": "\ud800", "\udfff": 1})
    assert site.client.post("/api/orders", data=body, content_type="application/json").status_code == 422
    assert site.saved() == NOTHING


@pytest.mark.parametrize("key", ["", "a b", "x" * 201, "caf\xe9"])
def test_a_bad_idempotency_key_is_refused(site: Site, key: str) -> None:
    answer = post(site, Idempotency_Key=key)
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == "Idempotency-Key"
    assert site.saved() == NOTHING


def test_a_repeated_request_gets_the_first_answer(site: Site) -> None:
    first = post(site, Idempotency_Key="k1")
    again = post(site, Idempotency_Key="k1")
    assert (again.status_code, again.get_json()) == (201, first.get_json())
    assert site.saved() == ONE


def test_a_key_is_good_for_one_order(site: Site) -> None:
    post(site, Idempotency_Key="k1")
    other = post(site, ORDER | {"note": "another"}, Idempotency_Key="k1")
    assert other.status_code == 422
    assert other.get_json()["errors"][0]["field"] == "Idempotency-Key"
    assert site.saved() == ONE


def test_an_order_that_must_wait_for_another_transaction_holds_up_nobody_else(site: Site) -> None:
    with psycopg.connect(site.url) as stuck, ThreadPoolExecutor(2) as people:
        stuck.execute("INSERT INTO customers (id, phone, name, created_at) VALUES ('c', '+12025550123', 'Ada', now())")
        waiting = people.submit(post, site)
        until(lambda: site.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), 10)
        for number in range(3):
            customer = {"name": "Other", "phone": f"+1 212 555 010{number}"}
            other = people.submit(post, site, ORDER | {"customer": customer})
            assert other.result(3).status_code == 201  # sooner than the five seconds that a session waits for a lock
        assert not waiting.done()
        stuck.commit()
        assert waiting.result(10).status_code == 201
    assert site.rows("SELECT count(*) FROM orders") == [(4,)]
    assert site.rows("SELECT data ->> 'returning_customer' FROM events ORDER BY position DESC LIMIT 1") == [("true",)]


def test_an_order_that_another_process_is_just_saving_is_found_once_it_has(site: Site) -> None:
    first = post(site, Idempotency_Key="before")
    with psycopg.connect(site.url) as other, ThreadPoolExecutor(1) as people:
        other.execute("UPDATE orders SET idempotency_key = 'now'")
        again = people.submit(post, site, Idempotency_Key="now")
        tries: set[object] = set()

        def tried_alone() -> bool:
            tries.update(site.rows("SELECT xact_start FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
            return len(tries) > 1

        until(tried_alone, 10)
        other.commit()
        assert again.result(10).get_json() == first.get_json()
    assert site.saved() == ONE


def test_fifty_parallel_posts_with_one_key_make_one_order(site: Site) -> None:
    answers: list[tuple[int, str]] = []
    start = threading.Barrier(50)

    def order() -> None:
        start.wait()
        answer = post(site, Idempotency_Key="parallel")
        answers.append((answer.status_code, answer.get_json().get("id")))

    threads = [threading.Thread(target=order) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 50
    assert len(set(answers)) == 1
    assert answers[0][0] == 201
    assert site.saved() == ONE


def test_the_correlation_id_is_taken_returned_and_kept(site: Site) -> None:
    assert post(site, X_Correlation_ID="shop-7.b").headers["X-Correlation-ID"] == "shop-7.b"
    assert site.rows("SELECT correlation_id FROM events") == [("shop-7.b",)]


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>"])
def test_a_bad_correlation_id_is_replaced(site: Site, given: str) -> None:
    answer = site.client.get("/api/nothing", headers={"X-Correlation-ID": given})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Correlation-ID"])


def test_an_order_is_shown_without_contact_data(site: Site) -> None:
    placed = post(site).get_json()
    answer = site.client.get(f"/api/orders/{placed['id']}")
    shown = answer.get_json()
    assert answer.status_code == 200
    assert shown.items() >= placed.items()
    assert shown["customer"] == {"name": "Ada"}
    assert "5550123" not in answer.text.replace(" ", "").replace(shown["id"], "")
    assert "ada@" not in answer.text
    assert "Analytical" not in answer.text


@pytest.mark.parametrize("order_id", ["0" * 32, "1", "%00", "..%2f", "0" * 31 + "G"])
def test_an_unknown_order_is_404(site: Site, order_id: str) -> None:
    for answer in (
        site.client.get(f"/api/orders/{order_id}"),
        site.client.post(f"/api/orders/{order_id}/cancel"),
        site.client.get(f"/api/orders/{order_id}/stream"),
    ):
        assert answer.status_code == 404
        assert answer.get_json()["errors"][0]["problem"].endswith((".", "?"))


def test_an_order_can_be_cancelled_until_it_cooks(site: Site) -> None:
    order_id = post(site).get_json()["id"]
    answer = site.client.post(f"/api/orders/{order_id}/cancel")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "cancelled")
    assert answer.get_json()["cancelled_reason"] == "Cancelled by the customer."
    assert site.client.post(f"/api/orders/{order_id}/cancel").status_code == 200
    assert site.rows("SELECT type FROM events ORDER BY position") == [("OrderPlaced",), ("OrderCancelled",)]


def test_an_order_that_cooks_cannot_be_cancelled(site: Site) -> None:
    order_id = post(site).get_json()["id"]
    site.run("UPDATE orders SET status = 'cooking', cooking_at = now()")
    answer = site.client.post(f"/api/orders/{order_id}/cancel")
    assert answer.status_code == 409
    assert answer.get_json()["errors"][0]["problem"].endswith(".")


def test_a_sold_out_pizza_cannot_be_ordered(site: Site) -> None:
    site.run("UPDATE pizzas SET sold_out = true WHERE id = 'margherita'")
    answer = post(site)
    assert answer.get_json()["errors"] == [{"field": "items.0.pizza", "problem": "Margherita is sold out."}]
    menu = site.client.get("/api/menu").get_json()
    assert [pizza["id"] for pizza in menu["pizzas"] if pizza["sold_out"]] == ["margherita"]


def test_an_order_above_what_can_be_charged_is_422_and_leaves_nothing(make_site: Callable[..., Site]) -> None:
    site = make_site(tax_rate="0.99")
    site.run("UPDATE prices SET price = 49999999.99 WHERE (pizza_id, size_id) = ('marinara', 'large')")
    site.run("UPDATE prices SET price = 50000000.00 WHERE (pizza_id, size_id) = ('margherita', 'large')")

    def hundred(pizza: str, **wrong: str) -> dict[str, Any]:
        return ORDER | wrong | {"items": [{"pizza": pizza, "size": "large", "quantity": 20}] * 5}

    sentence = "This comes to more than one order may: order less at once, or call us."
    for order, fields in (
        (hundred("margherita"), {"items"}),
        (hundred("margherita", payment="shells"), {"items", "payment"}),
    ):
        answer = post(site, order)
        assert answer.status_code == 422
        problems = {each["field"]: each["problem"] for each in answer.get_json()["errors"]}
        assert (set(problems), problems["items"]) == (fields, sentence)
    assert site.saved() == NOTHING
    assert post(site, hundred("marinara")).get_json()["total"] == "9949999998.01"


def test_the_wrong_method_is_405_with_what_is_allowed(site: Site) -> None:
    answer = site.client.put("/api/orders", json={})
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert answer.get_json()["errors"][0]["field"] == ""


def test_a_database_that_is_away_is_503_and_names_itself(make_site: Callable[..., Site]) -> None:
    away = make_site(database_url="postgresql://nobody@127.0.0.1:9/none")
    answer = post(away)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert "9" not in answer.get_json()["errors"][0]["problem"]
    ready = away.client.get("/readyz")
    assert (ready.status_code, ready.get_json()["parts"]) == (503, {"database": "does not answer", "broker": "ok"})
    assert away.client.get("/healthz").status_code == 200


def test_a_broker_that_is_away_takes_orders_and_names_itself(make_site: Callable[..., Site]) -> None:
    away = make_site(broker_url="redis://127.0.0.1:9/0", rate_limits="on")
    assert post(away).status_code == 201
    ready = away.client.get("/readyz")
    assert (ready.status_code, ready.get_json()["parts"]) == (503, {"database": "ok", "broker": "does not answer"})


def test_where_too_many_watch_a_browser_is_told_how_it_stands_and_to_come_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.live.MOST", 0)
    placed = post(site).get_json()["id"]
    with site.client.get(f"/api/orders/{placed}/stream", buffered=False) as answer:
        how_it_stands, what_next = islice(answer.iter_encoded(), 2)
    assert b'"status": "placed"' in how_it_stands
    assert what_next == b"retry: 5000\n\n"


def test_an_order_is_kept_in_no_cache(site: Site) -> None:
    placed = post(site)
    shown = site.client.get(placed.headers["Location"])
    assert (placed.headers["Cache-Control"], shown.headers["Cache-Control"]) == ("no-store", "no-store")


@pytest.mark.parametrize("host", ["", "a b", 'evil.example/"><script>', "evil.example:99999x"])
def test_a_host_that_is_none_is_refused(site: Site, host: str) -> None:
    assert post(site, Host=host).status_code == 400
    assert site.saved() == NOTHING


def test_servers_that_were_never_started_are_named_too(make_site: Callable[..., Site]) -> None:
    parts = make_site(broker_url=None).client.get("/readyz").get_json()["parts"]
    assert parts == {"database": "ok", "broker": "does not answer"}


def test_everything_there_is_ready(site: Site) -> None:
    assert site.client.get("/readyz").get_json() == {"ready": True, "parts": {"database": "ok", "broker": "ok"}}


def test_one_address_places_thirty_orders_a_minute(make_site: Callable[..., Site]) -> None:
    limited = make_site(rate_limits="on", bus="memory")
    client = limited.client
    far = {"REMOTE_ADDR": "203.0.113.9"}
    answers = [client.post("/api/orders", json=ORDER, environ_base=far) for _ in range(31)]
    assert {answer.status_code for answer in answers[:30]} == {201}
    assert answers[30].status_code == 429
    assert answers[30].get_json()["errors"][0]["problem"].endswith(".")
    assert client.post("/api/orders", json=ORDER, environ_base={"REMOTE_ADDR": "203.0.113.10"}).status_code == 201
    assert post(limited).status_code == 201, "this machine itself is not limited"


def test_the_document_describes_the_answers(site: Site) -> None:
    document = site.client.get("/openapi.json").get_json()
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    placed = post(site).get_json()
    shown = site.client.get(f"/api/orders/{placed['id']}").get_json()
    assert set(placed) == set(schemas["PlacedOrder"]["properties"])
    assert set(placed["items"][0]) == set(schemas["OrderedItem"]["properties"])
    assert set(shown) == set(schemas["WholeOrder"]["properties"])
    assert set(site.client.get("/api/menu").get_json()) == set(schemas["MenuAnswer"]["properties"])
    routes = {
        re.sub("<[^>]*>", "{id}", rule.rule.replace("<register:register>", name))
        for rule in site.app.url_map.iter_rules()
        if rule.rule.startswith("/api")
        for name in registers()
    }
    assert set(document["paths"]) == routes


def test_security_headers_come_with_every_answer(site: Site) -> None:
    for path in ("/", "/api/menu", "/nothing", "/api/nothing", "/staff", "/healthz"):
        headers = site.client.get(path).headers
        assert "script-src 'self';" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Strict-Transport-Security" not in headers
    assert "Strict-Transport-Security" in site.client.get("/", base_url="https://localhost").headers
