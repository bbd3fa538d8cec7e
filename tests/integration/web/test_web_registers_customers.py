"""The register of customers: corrected, written down before they order, forgotten, and listed page by page."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from domain.events import OrderPlaced, catalogue
from domain.kernel import log
from domain.kernel.event import Recorded
from tests.conftest import until
from tests.integration.web.conftest import Site
from tests.integration.web.test_web_api import ORDER
from tests.integration.web.test_web_registers import NEW, add, ask, fields

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_events")]


def customer(site: Site, phone: str) -> Any:
    (row,) = site.rows(f"SELECT id FROM customers WHERE phone = '{phone}'")
    return ask(site, "GET", f"customers/{row[0]}").get_json()


def test_a_customer_is_corrected_and_what_was_ordered_keeps_what_was_said_then(site: Site) -> None:
    placed = site.client.post("/api/orders", json=ORDER).get_json()
    ada = customer(site, "+12025550123")
    assert (ada["name"], ada["email"]) == ("Ada", "ada@example.com")
    corrected = ada | {"name": "Ada King", "phone": "+44 20 7946 0123", "email": None}
    answer = ask(site, "PUT", f"customers/{ada['id']}", corrected)
    assert answer.get_json()["phone"] == "+442079460123"
    assert site.rows("SELECT name, phone, email FROM orders") == [("Ada", "+12025550123", "ada@example.com")]
    stream = f"order-{placed['id']}"
    with site.counter.database.read() as connection:
        (recorded,) = log.read_streams(connection, catalogue, [stream])[stream]
    assert isinstance(recorded, Recorded) and isinstance(recorded.event, OrderPlaced)
    assert recorded.event.customer_phone == "+12025550123", "the log is still read with the customer's key"
    site.client.post("/api/orders", json=ORDER | {"customer": {"name": "A. K.", "phone": "+44 20 7946 0123"}})
    assert site.rows("SELECT count(*), count(DISTINCT customer_id) FROM orders") == [(2, 1)]


def test_no_two_customers_have_one_number_not_even_of_one_who_orders_this_moment(site: Site) -> None:
    site.client.post("/api/orders", json=ORDER)
    answer = ask(site, "POST", "customers", NEW["customers"] | {"phone": "(202) 555-0123"})
    assert (answer.status_code, fields(answer)) == (409, ["phone"])
    with psycopg.connect(site.url) as ordering, ThreadPoolExecutor(1) as managers:
        ordering.execute(
            "INSERT INTO customers (id, phone, name, created_at) VALUES ('c', '+12025550177', 'Grace', now())"
        )
        adding = managers.submit(ask, site, "POST", "customers", NEW["customers"])
        until(lambda: site.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), 10)
        ordering.commit()
        answer = adding.result()
    assert (answer.status_code, fields(answer)) == (409, ["phone"])
    assert site.saved()["customers"] == 2


def test_who_was_written_down_by_hand_is_new_until_the_first_order(site: Site) -> None:
    grace = add(site, "customers")
    wanted = ORDER | {"customer": {"name": "Grace", "phone": grace["phone"]}}
    for _ in range(2):
        site.client.post("/api/orders", json=wanted)
    assert site.rows("SELECT data -> 'returning_customer' FROM events ORDER BY position") == [(False,), (True,)]
    assert site.rows("SELECT DISTINCT customer_id FROM orders") == [(grace["id"],)]
    answer = ask(site, "DELETE", f"customers/{grace['id']}")
    assert (answer.status_code, fields(answer)) == (409, [""])


def test_who_never_ordered_is_forgotten(site: Site) -> None:
    grace = add(site, "customers")
    site.run(f"INSERT INTO house_accounts (customer_id, credit_limit) VALUES ('{grace['id']}', 5)")
    assert ask(site, "DELETE", f"customers/{grace['id']}").status_code == 409
    site.run("DELETE FROM house_accounts")
    assert ask(site, "DELETE", f"customers/{grace['id']}").get_json() == grace
    assert ask(site, "GET", f"customers/{grace['id']}").status_code == 404
    assert site.saved()["customers"] == 0


def test_customers_are_listed_page_by_page_the_newest_first(site: Site) -> None:
    ids = [add(site, "customers", phone=f"+1202555010{number}")["id"] for number in range(3)]
    listed = ask(site, "GET", "customers").get_json()["customers"]
    assert [each["id"] for each in listed] == ids[::-1]
    older = ask(site, "GET", f"customers?after={ids[1]}").get_json()["customers"]
    assert [each["id"] for each in older] == ids[:1]
    assert ask(site, "GET", "customers?after=x").status_code == 404
