"""What other systems tell us: who is believed, what comes of it, and that it comes of it once."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from standardwebhooks.webhooks import Webhook
from werkzeug.test import TestResponse

from domain import sources
from domain.basket import Line
from domain.orders import Order
from tasks.cli.sources import command
from tests.integration.conftest import Shop
from tests.integration.web.conftest import Site
from web.api.cloud_event import STRUCTURED

pytestmark = pytest.mark.integration

BAKED, DELIVERED = "com.mariopizzeria.oven.pizza-baked", "com.mariopizzeria.partner.delivered"
NOBODY = "0" * 40


@pytest.fixture
def secrets(shop: Shop) -> dict[str, str]:
    """The secrets of a sensor and a partner."""
    with shop.database.begin("test") as work:
        return {name: sources.add(work, name, kind).secret for name, kind in (("oven-1", "oven"), ("velo", "partner"))}


@pytest.fixture
def slow_shop(shop: Shop, secrets: dict[str, str], configure: Callable[..., None]) -> Shop:
    """A shop whose oven and drivers take an hour."""
    configure(bake_seconds=3600, drive_seconds=3600)
    return shop


@pytest.fixture
def site(slow_shop: Shop, make_site: Callable[..., Site]) -> Site:
    """Its web, which delivers nothing by itself."""
    return make_site(bus="celery")


def signed(secret: str, event_id: str, body: bytes, at: datetime | None = None) -> dict[str, str]:
    at = at or datetime.now(UTC)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, at, body.decode()),
    }


def event(kind: str, data: Any, event_id: str = "e-1", **changes: Any) -> dict[str, Any]:
    source = "oven-1" if kind == BAKED else "velo"
    return {"specversion": "1.0", "id": event_id, "source": source, "type": kind, "data": data} | changes


def tell(site: Site, secret: str, sent: dict[str, Any], **headers: str) -> TestResponse:
    body = json.dumps(sent).encode()
    wanted = {"Content-Type": STRUCTURED} | signed(secret, str(sent.get("id", "e-1")), body) | headers
    return site.client.post("/api/events", data=body, headers=wanted)


def tell_binary(site: Site, secret: str, sent: dict[str, Any], **headers: str) -> TestResponse:
    body = json.dumps(sent["data"]).encode()
    attributes = {f"ce-{name}": value for name, value in sent.items() if name != "data"}
    wanted = {"Content-Type": "application/json"} | attributes | signed(secret, sent["id"], body) | headers
    return site.client.post("/api/events", data=body, headers=wanted)


def cooking(shop: Shop) -> Order:
    """An order of two pizzas, both in the oven."""
    order = shop.order()
    shop.drain()
    assert shop.status(order) == "cooking"
    return order


def driven(shop: Shop, site: Site, secrets: dict[str, str], **how: Any) -> Order:
    """An order that has left the oven by its sensor's word, and is on its way or at the counter."""
    order = shop.order(Line(pizza="marinara", size="small", quantity=1), **how)
    shop.drain()
    assert tell(site, secrets["oven-1"], event(BAKED, {"orderId": order.id, "pizza": 1}, order.id)).status_code == 202
    shop.drain()
    return order


def states(shop: Shop, order: Order) -> list[str]:
    return [
        row.state
        for row in shop.rows("SELECT state FROM ticket_pizzas WHERE order_id = :id ORDER BY number", id=order.id)
    ]


def traces(shop: Shop) -> tuple[Any, ...]:
    """Whatever a refused event must not change."""
    return tuple(shop.value(f"SELECT count(*) FROM {table}") for table in ("inbox", "events", "outbox"))


def test_a_sensor_takes_pizzas_out_one_by_one_and_the_last_one_makes_the_order_ready(
    site: Site, slow_shop: Shop, secrets: dict[str, str]
) -> None:
    order = cooking(slow_shop)
    first = tell(site, secrets["oven-1"], event(BAKED, {"orderId": order.id, "pizza": 2}, "e-1"))
    assert (first.status_code, first.get_json()) == (202, {"id": "e-1", "repeated": False})
    assert states(slow_shop, order) == ["baking", "baked"]
    assert slow_shop.status(order) == "cooking"
    word = event(BAKED, {"orderId": order.id, "pizza": 1}, "e-2")
    assert tell_binary(site, secrets["oven-1"], word).status_code == 202
    assert slow_shop.status(order) == "ready"
    assert slow_shop.value("SELECT state FROM tickets WHERE order_id = :id", id=order.id) == "done"
    assert slow_shop.value("SELECT count(*) FROM oven_loads WHERE plated_at IS NOT NULL") == 1


def test_what_a_sensor_takes_out_makes_room_for_the_next_order(
    make_site: Callable[..., Site], slow_shop: Shop, secrets: dict[str, str], configure: Callable[..., None]
) -> None:
    configure(bake_seconds=3600, drive_seconds=3600, oven_capacity=1)
    first = slow_shop.order(Line(pizza="marinara", size="small", quantity=1))
    slow_shop.drain()
    second = slow_shop.order()
    slow_shop.drain()
    assert (slow_shop.status(first), slow_shop.status(second)) == ("cooking", "placed")
    narrow = make_site(bus="celery")
    tell(narrow, secrets["oven-1"], event(BAKED, {"orderId": first.id, "pizza": 1}))
    assert (slow_shop.status(first), slow_shop.status(second)) == ("ready", "cooking")


def test_a_partner_ends_a_tour_and_its_driver_is_free(site: Site, slow_shop: Shop, secrets: dict[str, str]) -> None:
    order = driven(slow_shop, site, secrets)
    assert slow_shop.status(order) == "out_for_delivery"
    word = event(DELIVERED, {"orderId": order.id})
    assert tell(site, secrets["velo"], word, **{"X-Correlation-ID": "partner-7"}).status_code == 202
    assert slow_shop.status(order) == "delivered"
    assert slow_shop.value("SELECT count(*) FROM tours WHERE state = 'out'") == 0
    slow_shop.drain()
    assert slow_shop.events(order).count("OrderDelivered") == 1
    told = slow_shop.rows("SELECT DISTINCT correlation_id FROM events WHERE stream = :s", s=f"order-{order.id}")
    assert [row.correlation_id.startswith("test-") for row in told] == [True], "an order's events stay together"
    assert {row.state for row in slow_shop.deliveries("delivery")} <= {"done", "pending"}


def test_a_partner_may_fetch_a_pickup_that_is_ready(site: Site, slow_shop: Shop, secrets: dict[str, str]) -> None:
    order = driven(slow_shop, site, secrets, fulfilment="pickup", address=None)
    assert slow_shop.status(order) == "ready"
    assert tell(site, secrets["velo"], event(DELIVERED, {"orderId": order.id})).status_code == 202
    assert slow_shop.status(order) == "delivered"


def test_a_repeated_event_is_answered_alike_and_has_no_second_effect(
    site: Site, slow_shop: Shop, secrets: dict[str, str]
) -> None:
    order = cooking(slow_shop)
    word = event(BAKED, {"orderId": order.id, "pizza": 1})
    assert tell(site, secrets["oven-1"], word).status_code == 202
    before = traces(slow_shop)
    for again in (word, {name: word[name] for name in reversed(word)}):
        answer = tell(site, secrets["oven-1"], again)
        assert (answer.status_code, answer.get_json()["repeated"]) == (202, True)
    other = tell(site, secrets["oven-1"], event(BAKED, {"orderId": order.id, "pizza": 2}))
    assert (other.status_code, other.get_json()["errors"][0]["field"]) == (409, "id")
    assert traces(slow_shop) == before
    assert states(slow_shop, order) == ["baked", "baking"]


def test_of_the_same_event_many_times_at_once_one_has_an_effect(
    site: Site, slow_shop: Shop, secrets: dict[str, str]
) -> None:
    order = driven(slow_shop, site, secrets)
    word = event(DELIVERED, {"orderId": order.id})
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: tell(site, secrets["velo"], word), range(6)))
    assert {answer.status_code for answer in answers} == {202}
    assert [answer.get_json()["repeated"] for answer in answers].count(False) == 1
    assert slow_shop.events(order).count("OrderDelivered") == 1


def test_what_was_told_long_ago_is_forgotten(site: Site, slow_shop: Shop, secrets: dict[str, str]) -> None:
    order = cooking(slow_shop)
    slow_shop.execute(
        "INSERT INTO inbox SELECT 'velo', days::text, '', now() - make_interval(days => days)"
        " FROM unnest(ARRAY[1, 89, 91, 400]) AS days"
    )
    tell(site, secrets["oven-1"], event(BAKED, {"orderId": order.id, "pizza": 1}))
    assert {row.id for row in slow_shop.rows("SELECT id FROM inbox")} == {"1", "89", "e-1"}


def test_two_sources_may_use_the_same_id(site: Site, slow_shop: Shop, secrets: dict[str, str]) -> None:
    order = driven(slow_shop, site, secrets)
    assert tell(site, secrets["velo"], event(DELIVERED, {"orderId": order.id}, order.id)).status_code == 202


@pytest.mark.parametrize(
    ("word", "status", "field"),
    [
        (event("com.mariopizzeria.order.placed", {}), 422, "type"),
        (event(DELIVERED, {"orderId": NOBODY}, source="oven-1"), 403, "type"),
        (event(BAKED, {"orderId": NOBODY, "pizza": 1}), 409, "data"),
        (event(BAKED, {"orderId": NOBODY, "pizza": 0}), 422, "data.pizza"),
        (event(BAKED, {"orderId": NOBODY, "pizza": True}), 422, "data.pizza"),
        (event(BAKED, {"orderId": NOBODY, "pizza": 1.5}), 422, "data.pizza"),
        (event(BAKED, {"orderId": NOBODY, "pizza": "1"}), 422, "data.pizza"),
        (event(BAKED, {"orderId": NOBODY}), 422, "data.pizza"),
        (event(BAKED, {"orderId": "x' OR 1=1", "pizza": 1}), 422, "data.orderId"),
        (event(BAKED, {"orderId": NOBODY, "pizza": 1, "more": 1}), 422, "data.more"),
        (event(BAKED, [1]), 422, "data"),
        (event(BAKED, None), 422, "data"),
        (event(BAKED, {}, data_base64="%%"), 400, "body"),
        (event(BAKED, {}, specversion="0.3"), 400, "body"),
        (event(BAKED, {}, time="yesterday"), 400, "body"),
        (event(BAKED, {}, time=5), 400, "body"),
        (event(BAKED, {}, subject=5), 400, "body"),
        (event(BAKED, {}, id=" "), 400, "body"),
        (event(BAKED, {}, id="x" * 201), 400, "body"),
        (event(BAKED, {}, type=""), 400, "body"),
        ({"specversion": "1.0", "source": "oven-1", "type": BAKED, "data": {}}, 400, "body"),
        (event(BAKED, {}, source="nobody"), 401, ""),
        (event(BAKED, {}, source="\x00"), 401, ""),
    ],
)
def test_what_is_wrong_is_said_of_one_field_and_nothing_is_kept(
    site: Site, slow_shop: Shop, secrets: dict[str, str], word: dict[str, Any], status: int, field: str
) -> None:
    before = traces(slow_shop)
    answer = tell(site, secrets["velo" if word["source"] == "velo" else "oven-1"], word)
    if word["type"] == "com.mariopizzeria.order.placed":
        answer = tell(site, secrets["velo"], word)
    (problem,) = answer.get_json()["errors"]
    assert (answer.status_code, problem["field"]) == (status, field)
    assert problem["problem"].endswith(".")
    assert traces(slow_shop) == before


def test_an_order_that_is_not_on_its_way_cannot_be_delivered(
    site: Site, slow_shop: Shop, secrets: dict[str, str]
) -> None:
    order = cooking(slow_shop)
    answer = tell(site, secrets["velo"], event(DELIVERED, {"orderId": order.id}))
    assert (answer.status_code, "it is cooking" in answer.get_json()["errors"][0]["problem"]) == (409, True)
    assert tell(site, secrets["velo"], event(DELIVERED, {"orderId": NOBODY})).status_code == 404
    assert slow_shop.value("SELECT count(*) FROM inbox") == 0, "so that it may be told again when it is true"


def test_who_does_not_sign_now_and_under_the_events_own_id_is_not_believed(
    site: Site, slow_shop: Shop, secrets: dict[str, str]
) -> None:
    order = cooking(slow_shop)
    word = event(BAKED, {"orderId": order.id, "pizza": 1})
    body = json.dumps(word).encode()
    now, secret = datetime.now(UTC), secrets["oven-1"]
    good = signed(secret, "e-1", body)
    forged: list[dict[str, str]] = [
        {},
        signed(secrets["velo"], "e-1", body),
        signed(secret, "e-2", body),
        signed(secret, "e-1", body + b" "),
        signed(secret, "e-1", body, now - timedelta(minutes=6)),
        signed(secret, "e-1", body, now + timedelta(minutes=6)),
        good | {"webhook-timestamp": str(int(now.timestamp()) + 7)},
        good | {"webhook-timestamp": "nan"},
        good | {"webhook-signature": "v1"},
        good | {"webhook-signature": "v1,#"},
        good | {"webhook-signature": good["webhook-signature"].replace("v1,", "v2,")},
    ]
    before = traces(slow_shop)
    for headers in forged:
        answer = site.client.post("/api/events", data=body, headers={"Content-Type": STRUCTURED} | headers)
        assert answer.status_code == 401, headers
        assert len(answer.get_json()["errors"]) == 1
    assert traces(slow_shop) == before
    answer = site.client.post("/api/events", data=body, headers={"Content-Type": STRUCTURED} | good)
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", STRUCTURED, 400),
        (b"[]", STRUCTURED, 400),
        (b"\xff", STRUCTURED, 400),
        (b'{"id": "a", "id": "b"}', STRUCTURED, 400),
        (b"[" * 50_000, STRUCTURED, 400),
        (b"{}", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"[]", "application/cloudevents-batch+json", 415),
        (b'"' + b"x" * 70_000 + b'"', STRUCTURED, 413),
    ],
)
def test_what_cannot_be_read_is_refused_whoever_sends_it(
    site: Site, slow_shop: Shop, body: bytes, kind: str, status: int
) -> None:
    answer = site.client.post("/api/events", data=body, headers={"Content-Type": kind})
    assert (answer.status_code, len(answer.get_json()["errors"])) == (status, 1)


def test_telling_is_limited_by_address(make_site: Callable[..., Site]) -> None:
    client = make_site(rate_limits="on", bus="memory").client
    far = {"REMOTE_ADDR": "203.0.113.9"}
    answers = [client.post("/api/events", environ_base=far).status_code for _ in range(601)]
    assert answers == [415] * 600 + [429]


def ask(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, list(words))
    return result.exit_code, result.output


def test_sources_are_added_listed_and_removed_by_command_and_their_secret_is_shown_once(
    slow_shop: Shop, site: Site
) -> None:
    for name in ("oven-1", "velo"):
        assert ask("remove", name)[0] == 0
    assert ask()[1].startswith("No source yet")
    began = datetime.now(UTC)  # which may be the day before
    code, said = ask("add", "velo", "partner")
    assert code == 0
    secret = said.split()[-1]
    listed = ask()
    assert listed in [(0, f"velo  partner  since {day:%Y-%m-%d}\n") for day in (began, datetime.now(UTC))]
    word = event(DELIVERED, {"orderId": NOBODY})
    assert tell(site, secret, word).status_code == 404
    assert ask("remove", "velo")[0] == 0
    assert tell(site, secret, word).status_code == 401


@pytest.mark.parametrize("words", [("add", "Velo!", "partner"), ("add", "velo", "oven"), ("remove", "nobody")])
def test_what_cannot_be_done_with_a_source_is_said_in_one_sentence(shop: Shop, words: tuple[str, ...]) -> None:
    assert ask("add", "velo", "partner")[0] == 0
    code, said = ask(*words)
    assert (code, said.count("\n")) == (2, 1)
    assert shop.value("SELECT count(*) FROM sources") == 1
