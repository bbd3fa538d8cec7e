"""Customers: the staff's pages about them, and transferring points as JSON."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.integration.web.conftest import Site
from tests.integration.web.test_web_api import NOTHING, ORDER
from tests.integration.web.test_web_pages import hidden, log_in, press

pytestmark = pytest.mark.integration

ADA, BOB, EVE = (f"{number:032x}" for number in (1, 2, 3))
STAFF = ("staff", "correct horse")


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site where Ada has 100 points and Bob has none."""
    site = make_site()
    people = ((ADA, "+12025550123", "Ada <b>"), (BOB, "+12025550124", "Bob"), (EVE, "+442079460123", "Eve"))
    for who, phone, name in people:
        site.run(f"INSERT INTO customers (id, phone, name, created_at) VALUES ('{who}', '{phone}', '{name}', now())")
    site.run(f"INSERT INTO loyalty_balances VALUES ('{ADA}', 100)")
    return site


def post(site: Site, payload: object, sender: str = ADA, auth: Any = STAFF, **headers: str) -> TestResponse:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return site.client.post(f"/api/customers/{sender}/points/transfer", json=payload, headers=names, auth=auth)


def balances(site: Site) -> dict[str, int]:
    return dict(site.rows("SELECT customer_id, points FROM loyalty_balances"))


def give(points: object, to: object = BOB) -> dict[str, object]:
    return {"to": to, "points": points}


def test_points_are_transferred(site: Site) -> None:
    answer = post(site, give(30))
    done = answer.get_json()
    assert answer.status_code == 201
    assert (done["from"], done["to"], done["points"], done["balance"]) == (ADA, BOB, 30, 70)
    assert done["transferred_at"].endswith("Z")
    assert balances(site) == {ADA: 70, BOB: 30}
    assert site.rows("SELECT data ->> 'transferred_by' FROM events") == [("staff:staff",)]


@pytest.mark.parametrize(
    ("payload", "status", "field"),
    [
        (give(101), 409, "points"),
        (give(0), 422, "points"),
        (give(-5), 422, "points"),
        (give(1.0), 422, "points"),
        (give("1"), 422, "points"),
        (give(True), 422, "points"),
        (give(10**30), 422, "points"),
        (give(1, ADA), 422, "to"),
        (give(1, 7), 422, "to"),
        (give(1, "nobody"), 404, "to"),
        (give(1, "\0"), 404, "to"),
        (give(1, "f" * 32), 404, "to"),
        ({"points": 1}, 422, "to"),
        (give(1) | {"why": "so"}, 422, "why"),
        ([], 422, ""),
    ],
)
def test_what_cannot_be_transferred_is_refused_and_changes_nothing(
    site: Site, payload: object, status: int, field: str
) -> None:
    answer = post(site, payload)
    assert (answer.status_code, [error["field"] for error in answer.get_json()["errors"]]) == (status, [field])
    assert balances(site) == {ADA: 100}
    assert site.rows("SELECT count(*) FROM events") == [(0,)]


@pytest.mark.parametrize("sender", ["f" * 32, "nobody", "%00"])
def test_an_unknown_sender_is_404(site: Site, sender: str) -> None:
    assert post(site, give(1), sender).status_code == 404


@pytest.mark.parametrize(
    "auth",
    [None, ("staff", "wrong"), ("nobody", "correct horse"), ("", ""), ("staff", ""), ("\0", "x"), ("x" * 200, "x")],
)
def test_whoever_is_not_of_the_staff_transfers_nothing(site: Site, auth: tuple[str, str] | None) -> None:
    answer = post(site, give(1), auth=auth)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert balances(site) == {ADA: 100}


def test_being_logged_in_on_the_pages_is_not_enough_for_the_api(site: Site) -> None:
    client = log_in(site)
    assert client.post(f"/api/customers/{ADA}/points/transfer", json=give(1)).status_code == 401


def test_guessing_passwords_is_limited(make_site: Callable[..., Site]) -> None:
    site = make_site(rate_limits="on", bus="memory")
    answers = [post(site, give(1), auth=("staff", "wrong")).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]


def test_the_same_key_gives_the_same_answer_and_is_good_for_one_transfer(site: Site) -> None:
    first = post(site, give(60), Idempotency_Key="k")
    again = post(site, give(60), Idempotency_Key="k")
    assert (again.status_code, again.get_json()) == (201, first.get_json())
    other = post(site, give(61), Idempotency_Key="k")
    assert (other.status_code, other.get_json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert post(site, give(1), Idempotency_Key="a b").status_code == 422
    assert balances(site) == {ADA: 40, BOB: 60}


def test_parallel_transfers_with_one_key_are_one(site: Site) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(site, give(60), Idempotency_Key="k"), range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert balances(site) == {ADA: 40, BOB: 60}


def test_parallel_transfers_without_a_key_do_not_overdraw(site: Site) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = sorted(answer.status_code for answer in pool.map(lambda _: post(site, give(30)), range(8)))
    assert answers == [201] * 3 + [409] * 5
    assert balances(site) == {ADA: 10, BOB: 90}


def open_account(site: Site, limit: str) -> None:
    site.run(f"INSERT INTO house_accounts (customer_id, credit_limit) VALUES ('{ADA}', {limit})")


def test_an_order_is_put_on_the_account_within_its_limit_with_no_worker_about(site: Site) -> None:
    open_account(site, "40")
    wanted = ORDER | {"payment": "account"}  # 34.40
    answer = site.client.post("/api/orders", json=wanted)
    placed = answer.get_json()
    assert (answer.status_code, placed["payment"]) == (201, "account")
    before = site.saved()
    refused = site.client.post("/api/orders", json=wanted)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.get_json()["errors"]] == ["payment"]
    assert site.saved() == before
    assert "Total, on your account" in site.client.get(f"/orders/{placed['id']}").text


def test_an_account_that_there_is_not_is_refused_and_leaves_nothing(make_site: Callable[..., Site]) -> None:
    site = make_site()
    assert site.client.post("/api/orders", json=ORDER | {"payment": "account"}).status_code == 422
    assert site.saved() == NOTHING


def test_parallel_orders_on_one_account_do_not_exceed_its_limit(site: Site, make_site: Callable[..., Site]) -> None:
    open_account(site, "110")
    sites = (site, make_site())  # as two processes: each has a till of its own
    wanted = ORDER | {"payment": "account"}

    def order(number: int) -> int:
        return sites[number % 2].client.post("/api/orders", json=wanted).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(order, range(12))) == [201] * 3 + [422] * 9
    assert site.rows("SELECT balance::text FROM house_accounts") == [("103.20",)]


def test_whoever_is_not_logged_in_sees_no_customers(site: Site) -> None:
    for path in ("/staff/customers", f"/staff/customers/{ADA}"):
        answer = site.client.get(path)
        assert (answer.status_code, "Ada" in answer.text) == (302, False)
        assert site.client.post(path, data={"phone": "0123"}).status_code in {302, 405}


def search(client: FlaskClient, phone: str) -> str:
    return press(client, "/staff/customers", "/staff/customers", phone=phone).text


def test_customers_are_found_by_their_number(site: Site) -> None:
    client = log_in(site)
    newest = client.get("/staff/customers").text
    assert "Ada &lt;b&gt;" in newest
    assert "<b>" not in newest
    assert [name for name in ("Ada", "Bob", "Eve") if name in search(client, "0123")] == ["Ada", "Eve"]
    assert [name for name in ("Ada", "Bob", "Eve") if name in search(client, "(202) 555-0124")] == ["Bob"]
    assert [name for name in ("Ada", "Bob", "Eve") if name in search(client, "+44 20")] == ["Eve"]
    for nobody in ("999999", "%", "'"):
        assert "Nobody has such a number." in search(client, nobody)


def test_without_customers_the_page_says_so(make_site: Callable[..., Site]) -> None:
    assert "No customers yet." in log_in(make_site()).get("/staff/customers").text


def test_a_customers_page_shows_points_and_account_and_what_is_empty(site: Site) -> None:
    client = log_in(site)
    page = client.get(f"/staff/customers/{ADA}").text
    assert "Ada &lt;b&gt;" in page
    assert "<b>" not in page
    assert "100 points" in page
    assert "No points yet." in page
    assert "None. With a limit, orders can be put on one." in page
    gone = client.get(f"/staff/customers/{'f' * 32}", follow_redirects=True)
    assert "There is no such customer." in gone.text


def act(client: FlaskClient, action: str, **data: str) -> str:
    page = f"/staff/customers/{ADA}"
    answer = press(client, f"{page}/{action}", page, **data)
    assert (answer.status_code, answer.request.path) == (200, page)
    return answer.text


def test_the_staff_transfer_points_and_a_form_sent_twice_transfers_once(site: Site) -> None:
    client = log_in(site)
    key = hidden(client.get(f"/staff/customers/{ADA}"), "key")
    for _ in range(2):
        page = act(client, "points/transfer", to="202-555-0124", points="30", key=key)
        assert "30 points went to Bob; 70 are left." in page
    assert balances(site) == {ADA: 70, BOB: 30}
    assert "Given away, -30" in page


@pytest.mark.parametrize(
    ("to", "points", "said"),
    [
        ("2025550124", "101", "This customer has 100 points"),
        ("2025550124", "1.5", "Transfer a whole number"),
        ("2025550124", "-1", "Transfer a whole number"),
        ("2025550123", "1", "Points go to another customer"),
        ("2025550199", "1", "There is no such customer."),
        ("0123", "1", "at least 6 digits"),
    ],
)
def test_the_page_says_why_points_are_not_transferred(site: Site, to: str, points: str, said: str) -> None:
    assert said in act(log_in(site), "points/transfer", to=to, points=points)
    assert balances(site) == {ADA: 100}


def test_the_staff_open_an_account_and_note_what_is_paid(site: Site) -> None:
    client = log_in(site)
    assert "A limit is an amount of money" in act(client, "account", limit="much")
    assert "Owes $0.00 of at most $50.00." in act(client, "account", limit="50")
    assert site.client.post("/api/orders", json=ORDER | {"payment": "account"}).status_code == 201
    assert "cannot pay more" in act(client, "payment", amount="34.41")
    assert "Owes $24.40 of at most $50.00." in act(client, "payment", amount="10")
    assert site.rows("SELECT who, action FROM audit ORDER BY id") == [
        ("staff:staff", "account limit 50.00"),
        ("staff:staff", "account paid 10.00"),
    ]


@pytest.mark.parametrize(
    ("action", "data"),
    [
        ("points/transfer", {"to": "2025550124", "points": "1"}),
        ("account", {"limit": "5"}),
        ("payment", {"amount": "1"}),
    ],
)
def test_nothing_changes_without_the_forms_token(site: Site, action: str, data: dict[str, str]) -> None:
    client = log_in(site)
    answer = client.post(f"/staff/customers/{ADA}/{action}", data=data, follow_redirects=True)
    assert "That did not reach us." in answer.text
    assert balances(site) == {ADA: 100}
    assert site.rows("SELECT count(*) FROM house_accounts") == [(0,)]
    assert "Ada" in client.post("/staff/customers", data={"phone": "0124"}, follow_redirects=True).text
