"""Webhooks: what leaves the house, to whom, how often, and what happens while somebody does not answer."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks.webhooks import Webhook

from domain import integration, webhooks
from domain.kernel import clock
from domain.webhooks import Endpoint
from tasks.bus import outbox, outside, subscriptions
from tasks.cli.webhooks import command
from tasks.gateways import webhook
from tests.conftest import until
from tests.fakes import sink as fake
from tests.fakes.sink import Sink
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
HAPPY = ["order.placed", "order.cooking", "order.ready", "order.out-for-delivery", "order.delivered"]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with fake.running() as running:
        yield running


@pytest.fixture
def open_shop(shop: Shop, configure: Callable[..., None]) -> Shop:
    """A shop that may post to this machine."""
    configure(webhook_networks="127.0.0.0/8")
    return shop


def listen(shop: Shop, url: str, *types: str) -> Endpoint:
    with shop.database.begin("test") as work:
        endpoint = webhooks.add(work, url, types)
        subscriptions.write(work.connection, shop.registry)
    return endpoint


def endpoint_now(shop: Shop) -> Endpoint:
    with shop.database.read() as connection:
        (endpoint,) = webhooks.endpoints(connection)
    return endpoint


def later(shop: Shop, seconds: float) -> None:
    """Let time go by for endpoints and deliveries, and deliver what is due then."""
    clock.move(timedelta(seconds=seconds))
    shop.execute("UPDATE deliveries SET not_before = now() WHERE state = 'pending'")
    shop.drain()


def types(sink: Sink) -> list[str]:
    return [json.loads(got.body)["type"].removeprefix(integration.PREFIX) for got in sink.got]


def test_without_an_endpoint_no_event_takes_this_way(shop: Shop) -> None:
    shop.order()
    shop.drain()
    assert shop.deliveries("webhooks") == []


def test_an_order_is_told_step_by_step_as_signed_cloudevents_with_nothing_personal(open_shop: Shop, sink: Sink) -> None:
    endpoint = listen(open_shop, f"{sink.url}/hooks")
    order = open_shop.order()
    open_shop.drain()
    assert sorted(types(sink)) == sorted(HAPPY)
    for got in sink.got:
        message = HTTPMessage({name.lower(): value for name, value in got.headers.items()}, got.body)
        event = from_http_event(message)
        assert event.get_subject() == f"order/{order.id}"
        assert event.get_source() == "mario-pizzeria/orders"
        assert event.get_specversion() == "1.0"
        assert event.get_id() == got.headers["webhook-id"]
        Webhook(endpoint.secret).verify(got.body, got.headers)
        assert not any(secret in got.body.decode() for secret in (order.name, order.phone, "example.com", "Analytical"))
    placed = next(json.loads(got.body) for got in sink.got if b"order.placed" in got.body)
    data = placed["data"]
    assert placed["type"] == "com.mariopizzeria.order.placed"
    assert placed["datacontenttype"] == "application/json"
    assert set(data) >= {"orderId", "customerId", "totalAmount", "items", "estimatedDelivery"}
    assert (data["orderId"], data["totalAmount"]) == (order.id, str(order.total))
    ids = {str(row.id) for row in open_shop.rows("SELECT id FROM events")}
    assert {got.headers["webhook-id"] for got in sink.got} <= ids


def test_what_is_not_named_never_leaves(open_shop: Shop, sink: Sink) -> None:
    listen(open_shop, sink.url)
    open_shop.order(payment="card", card_token="tok_approve")
    open_shop.drain()
    assert set(types(sink)) <= set(integration.NAMES)


def test_an_endpoint_gets_only_what_it_wants(open_shop: Shop, sink: Sink) -> None:
    listen(open_shop, sink.url, "order.delivered")
    open_shop.order()
    open_shop.drain()
    assert types(sink) == ["order.delivered"]


def test_every_event_arrives_once_after_an_endpoint_was_down(open_shop: Shop, sink: Sink) -> None:
    listen(open_shop, sink.url)
    sink.status = 500
    order = open_shop.order()
    open_shop.drain()
    assert open_shop.status(order) == "delivered"
    assert endpoint_now(open_shop).state == "failing"
    sink.status = 200
    later(open_shop, 40)
    assert sorted(types(sink)) == sorted(HAPPY)
    assert endpoint_now(open_shop).state == "well"
    assert {row.state for row in open_shop.deliveries("webhooks")} == {"done"}
    assert {row.attempts for row in open_shop.deliveries("webhooks")} == {0}


def test_an_endpoint_that_fails_is_asked_once_in_a_while_and_not_for_every_event(
    open_shop: Shop, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "FIRST_PAUSE", 60)
    listen(open_shop, sink.url)
    sink.status = 500
    for _ in range(5):
        open_shop.order()
    open_shop.drain()
    assert sink.asked == 1
    later(open_shop, 61)
    assert sink.asked == 2
    later(open_shop, 61)
    assert sink.asked == 2  # twice as long, after the second time


def test_who_has_got_an_event_does_not_get_it_again_when_another_is_tried_again(open_shop: Shop, sink: Sink) -> None:
    with fake.running() as broken:
        broken.status = 503
        listen(open_shop, broken.url)
        listen(open_shop, sink.url)
        open_shop.order()
        open_shop.drain()
        later(open_shop, 2)
        assert sorted(types(sink)) == sorted(HAPPY), "one that is away keeps nothing from the others"
        assert broken.got == []
        assert open_shop.value("SELECT count(*) FROM webhook_posts") == len(HAPPY)
        broken.status = 200
        later(open_shop, 60)
        assert open_shop.value("SELECT count(*) FROM webhook_posts") == 0
        assert sorted(types(broken)) == sorted(types(sink)) == sorted(HAPPY)
        assert sink.asked == len(HAPPY)


@pytest.mark.parametrize(
    "drips", [b"HTTP/1.1 103 Early Hints\r\n\r\n", b"X", b""], ids=["hints", "an endless line", "nothing"]
)
def test_those_who_never_come_to_an_end_keep_nothing_from_the_others(
    open_shop: Shop, sink: Sink, monkeypatch: pytest.MonkeyPatch, drips: bytes
) -> None:
    monkeypatch.setattr(webhook, "ANSWER_SECONDS", 1.0)
    with fake.running() as endless:
        endless.drips, endless.seconds = drips, 3
        for number in range(12):
            listen(open_shop, f"{endless.url}/{number}")
        listen(open_shop, sink.url)
        placed(open_shop, 1)
        started = time.monotonic()
        open_shop.run("webhooks", "OrderPlaced")
        assert time.monotonic() - started < 6, "twelve seconds, one after the other"
        assert types(sink) == ["order.placed"]
        endless.drips = b""
    with open_shop.database.read() as connection:
        found = webhooks.endpoints(connection)
    assert [each.last_answer for each in found] == ["no answer within 1 s"] * 12 + ["200"]
    assert {row.state for row in open_shop.deliveries("webhooks")} == {"pending"}


def test_names_that_nobody_looks_up_keep_nothing_from_the_others(
    open_shop: Shop, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "ANSWER_SECONDS", 1.0)
    look_up = socket.getaddrinfo

    def mostly(host: str, *args: Any, **how: Any) -> Any:
        if host.endswith(".example"):
            time.sleep(3)
        return look_up(host, *args, **how)

    for number in range(12):
        listen(open_shop, f"https://{number}.example/")
    listen(open_shop, sink.url)
    placed(open_shop, 1)
    monkeypatch.setattr(socket, "getaddrinfo", mostly)
    open_shop.run("webhooks", "OrderPlaced")
    assert types(sink) == ["order.placed"]


def test_who_is_removed_while_it_is_posted_to_is_forgotten_and_the_others_are_told(
    open_shop: Shop, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake.running() as broken:
        broken.status = 503
        removed = listen(open_shop, sink.url)
        listen(open_shop, broken.url)
        post = webhook.post

        def remove_and_post(endpoints: Sequence[Endpoint], *args: Any) -> list[webhook.Posted]:
            if removed in endpoints:
                ask("remove", removed.id)
            return post(endpoints, *args)

        monkeypatch.setattr(webhook, "post", remove_and_post)
        open_shop.order()
        open_shop.drain()
        broken.status = 200
        later(open_shop, 60)
        assert sorted(types(broken)) == sorted(HAPPY)
        assert {row.state for row in open_shop.deliveries("webhooks")} == {"done"}


def placed(shop: Shop, count: int) -> None:
    """Place orders, each of which makes one event for the webhooks, and send none."""
    for _ in range(count):
        shop.order()
    shop.fan_out()


def told(shop: Shop) -> list[str]:
    """Give the placed orders to the webhooks as one message; gives the statements that it took."""
    with shop.statements() as seen:
        shop.run("webhooks", "OrderPlaced")
    return [statement for statement in seen[1:] if "INTO paces" not in statement]  # the first finds the deliveries


@pytest.fixture
def written_down_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the outcomes of a message written down together, however slow this machine is."""
    monkeypatch.setattr(outside, "FLUSH_AFTER", 60)


def test_while_its_only_endpoint_is_away_a_hundred_events_are_postponed_by_one_statement(
    open_shop: Shop, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "FIRST_PAUSE", 60)
    listen(open_shop, sink.url)
    sink.status = 500
    placed(open_shop, 1)
    told(open_shop)
    placed(open_shop, 100)
    lock, ask, postpone = told(open_shop)
    assert lock.strip().endswith("FOR UPDATE OF d SKIP LOCKED")
    assert "FROM webhook_endpoints" in ask
    assert "SET not_before" in postpone
    waiting = {(row.state, row.attempts, row.claim) for row in open_shop.deliveries("webhooks")}
    assert (waiting, sink.asked) == ({("pending", 0, None)}, 1)
    late = open_shop.value("SELECT max(not_before - now()) FROM deliveries WHERE handler = 'webhooks'")
    assert timedelta(seconds=30) < late < timedelta(seconds=61)


@pytest.mark.usefixtures("written_down_at_the_end")
def test_once_one_event_has_found_its_endpoint_away_all_of_the_message_wait_with_it(
    open_shop: Shop, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "FIRST_PAUSE", 60)
    listen(open_shop, sink.url)
    sink.status = 500
    placed(open_shop, 30)
    statements = told(open_shop)
    assert sink.asked == 1
    assert len(statements) <= len(["lock", "ask", "claim", "hold", "postpone", "postpone a tenth later", "endpoint"])
    assert {(row.state, row.attempts) for row in open_shop.deliveries("webhooks")} == {("pending", 0)}


@pytest.mark.usefixtures("written_down_at_the_end")
def test_an_endpoint_that_is_well_costs_no_statement_for_each_event(open_shop: Shop, sink: Sink) -> None:
    listen(open_shop, sink.url)
    placed(open_shop, 1)
    told(open_shop)
    placed(open_shop, 30)
    assert len(told(open_shop)) == len(["lock", "ask", "claim", "answer"])
    assert sink.asked == 31
    assert open_shop.rows("SELECT 1 FROM webhook_posts") == [], "nobody waits: the delivery says it all"


def test_what_nobody_is_still_to_be_told_is_done_without_a_call(open_shop: Shop, sink: Sink) -> None:
    listen(open_shop, sink.url, "order.delivered")
    placed(open_shop, 30)
    assert len(told(open_shop)) == len(["lock", "ask", "claim", "answer"])
    assert {row.state for row in open_shop.deliveries("webhooks")} == {"done"}


def test_who_is_slow_is_left_alone_for_a_while(open_shop: Shop, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "SLOW_SECONDS", 0.05)
    monkeypatch.setattr(webhooks, "SLOW_SHARE", 600)
    listen(open_shop, sink.url)
    sink.seconds = 0.1
    open_shop.order()
    open_shop.drain()
    assert sink.asked == 1
    later(open_shop, 3600)
    assert sink.asked == 2


def test_after_days_of_failure_an_endpoint_is_disabled_and_nobody_waits_for_it(open_shop: Shop, sink: Sink) -> None:
    listen(open_shop, sink.url)
    sink.status = 500
    open_shop.order()
    open_shop.drain()
    later(open_shop, timedelta(days=5, hours=1).total_seconds())
    assert endpoint_now(open_shop).state == "disabled"
    later(open_shop, 1)
    assert {row.state for row in open_shop.deliveries("webhooks")} == {"done"}
    asked = sink.asked
    open_shop.order()
    open_shop.drain()
    assert sink.asked == asked


def test_who_says_gone_is_disabled_at_once(open_shop: Shop, sink: Sink) -> None:
    listen(open_shop, sink.url)
    sink.status = 410
    open_shop.order()
    open_shop.drain()
    assert (endpoint_now(open_shop).state, sink.asked) == ("disabled", 1)


def test_a_redirect_is_not_followed(open_shop: Shop, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "FIRST_PAUSE", 60)
    listen(open_shop, sink.url)
    sink.status = 302
    open_shop.order()
    open_shop.drain()
    assert sink.asked == 1
    assert endpoint_now(open_shop).last_answer == "302"


def test_a_name_that_becomes_private_after_it_was_added_is_not_posted_to(shop: Shop, sink: Sink) -> None:
    listen(shop, sink.url)  # as if it had been public then
    shop.order()
    shop.drain()
    assert sink.asked == 0
    assert "not public" in str(endpoint_now(shop).last_answer)


def test_a_new_endpoint_gets_nothing_that_happened_before_it(open_shop: Shop, sink: Sink) -> None:
    with fake.running() as broken:
        broken.status = 500
        listen(open_shop, broken.url)
        open_shop.order()
        open_shop.drain()
        listen(open_shop, sink.url)
        later(open_shop, 60)
        assert sink.got == []


def ask(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, list(words))
    return result.exit_code, result.output


def test_endpoints_are_listed_added_enabled_and_removed_by_command(open_shop: Shop, sink: Sink) -> None:
    assert ask() == (0, "No endpoint yet: add one with `pizzeria webhooks add URL`.\n")
    code, said = ask("add", sink.url, "--event", "order.ready")
    assert (code, "whsec_" in said) == (0, True)
    endpoint = endpoint_now(open_shop)
    listed = ask()[1]
    assert sink.url in listed
    assert "whsec_" not in listed
    open_shop.order()
    open_shop.drain()
    assert types(sink) == ["order.ready"]
    assert ask("enable", endpoint.id)[0] == 0
    assert ask("remove", endpoint.id)[0] == 0
    assert "No endpoint yet" in ask()[1]


def test_once_the_last_endpoint_is_removed_no_event_takes_this_way_and_nothing_waits(
    open_shop: Shop, sink: Sink
) -> None:
    first, last = listen(open_shop, sink.url), listen(open_shop, sink.url)
    sink.status = 500
    open_shop.order()
    open_shop.drain()
    assert ask("remove", first.id)[0] == 0
    assert {row.state for row in open_shop.deliveries("webhooks")} == {"pending"}
    assert ask("remove", last.id)[0] == 0
    outbox.park_orphans(open_shop.database.engine)
    waited = open_shop.deliveries("webhooks")
    assert {(row.state, row.result, row.claim) for row in waited} == {("done", "nobody wants it any more", None)}
    open_shop.order()
    open_shop.drain()
    assert len(open_shop.deliveries("webhooks")) == len(waited)


def test_who_is_added_while_the_last_one_is_removed_is_told(open_shop: Shop, sink: Sink) -> None:
    last = listen(open_shop, "http://127.0.0.1:1/")
    with open_shop.database.begin("test") as work:
        webhooks.add(work, sink.url, ())
        subscriptions.write(work.connection, open_shop.registry)
        removing = threading.Thread(target=ask, args=("remove", last.id))
        removing.start()
        until(lambda: open_shop.value(WAITING) == 1, 5, "the removal, which waits")
    removing.join()
    open_shop.order()
    open_shop.drain()
    assert sorted(types(sink)) == sorted(HAPPY)


@pytest.mark.parametrize(
    "words",
    [("add", "http://127.0.0.1:1/"), ("add", "nonsense"), ("enable", "nobody"), ("remove", "nobody")],
)
def test_what_cannot_be_done_is_said_in_one_sentence_and_changes_nothing(shop: Shop, words: Any) -> None:
    code, said = ask(*words)
    assert code == 2
    assert said.count("\n") == 1
    with shop.database.read() as connection:
        assert webhooks.endpoints(connection) == []
