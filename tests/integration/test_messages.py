"""What customers are told, from the order to the row of the message."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from domain import messages, orders
from domain.basket import Line
from domain.events import catalogue
from domain.invariants.messages import MESSAGES
from domain.kernel import clock
from domain.kernel.invariant import attempt
from domain.messages import BeingSentError, Message, TooLateError, UnknownMessageError
from tasks.bus.dead import Chosen
from tasks.bus.dead import retry as retry_dead
from tasks.bus.outside import OutsideRunner
from tasks.bus.retry import Wait
from tasks.cli.messages import command
from tasks.gateways import email, outcome, sms, switch
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration


def told(shop: Shop, channel: str, about: str) -> list[Any]:
    return shop.rows(
        "SELECT * FROM messages WHERE channel = :channel AND about = :about ORDER BY key", channel=channel, about=about
    )


def test_who_chose_italian_is_told_everything_in_italian(shop: Shop) -> None:
    order = shop.order(language="it")
    shop.drain()
    assert shop.status(order) == "delivered"
    (confirmed,), (mail,) = told(shop, "sms", "OrderPlaced"), told(shop, "email", "OrderPlaced")
    assert confirmed.body.startswith(f"Ordine {order.code} confermato:")
    assert (mail.subject, mail.body[:5]) == (f"Ordine {order.code} confermato", "Ciao ")
    texts = {row.about: row.body for row in shop.rows("SELECT about, body FROM messages WHERE channel = 'sms'")}
    assert "è pronto" in texts["OrderReady"] and "in viaggio con" in texts["OrderOutForDelivery"]
    assert texts["OrderDelivered"] == f"L'ordine {order.code} è stato consegnato. Buon appetito!"


def test_the_confirmation_mail_names_a_size_and_toppings_as_the_menu_does(shop: Shop) -> None:
    shop.execute("UPDATE sizes SET name = 'Middling' WHERE id = 'medium'")
    shop.order(Line(pizza="diavola", size="medium", quantity=1, toppings=("extra-cheese",)))
    shop.drain()
    assert "1 x Diavola, middling, with extra cheese  $" in told(shop, "email", "OrderPlaced")[0].body


def test_the_shops_language_is_that_of_whoever_chose_none(shop: Shop, configure: Any) -> None:
    configure(language="it")
    order = shop.order()
    shop.drain()
    assert {
        row.language
        for row in shop.rows(
            "SELECT data->>'language' AS language FROM events WHERE stream = :s", s=f"order-{order.id}"
        )
    } == {"it"}
    assert "confermato" in told(shop, "sms", "OrderPlaced")[0].body


@pytest.mark.parametrize(
    ("why", "words"),
    [("customer", "annullato, come hai chiesto."), ("staff", "Wir haben zu."), ("unable", "oggi purtroppo")],
)
def test_a_cancellation_is_told_in_the_customers_language_but_for_what_somebody_typed(
    shop: Shop, why: str, words: str
) -> None:
    order = shop.order(language="it")
    with shop.database.begin("test") as work:
        orders.cancel(work, order.id, "Wir haben zu.", "staff:1", why)
    shop.drain()
    assert words in told(shop, "sms", "OrderCancelled")[0].body
    assert words in told(shop, "email", "OrderCancelled")[0].body


def test_what_is_missing_and_a_refused_card_are_told_in_the_customers_language(shop: Shop) -> None:
    shop.execute("UPDATE ingredients SET quantity = 70 WHERE id = 'salami'")
    missing = shop.order(Line(pizza="diavola", size="small", quantity=5), language="it")
    declined = shop.order(
        Line(pizza="marinara", size="small", quantity=1), language="it", payment="card", card_token="tok_decline"
    )
    shop.drain()
    bodies = {row.order_id: row.body for row in told(shop, "sms", "OrderCancelled")}
    assert "abbiamo finito qualche ingrediente (spicy salami)." in bodies[missing.id]
    assert "la carta non è stata accettata." in bodies[declined.id]


def break_sms(shop: Shop, mode: str | None) -> None:
    shop.execute("DELETE FROM switches")
    if mode:
        shop.execute("INSERT INTO switches VALUES ('sms', :mode)", mode=mode)
    switch._read.clear()


def states(shop: Shop, channel: str = "sms") -> dict[str, tuple[str, str | None]]:
    rows = shop.rows("SELECT about, state, answer FROM messages WHERE channel = :channel", channel=channel)
    return {row.about: (row.state, row.answer) for row in rows}


def let_retries_come(shop: Shop) -> None:
    shop.execute("UPDATE deliveries SET not_before = now() WHERE state = 'pending'")
    shop.drain()


@pytest.fixture
def unhurried(configure: Callable[..., None]) -> None:
    """Retries that do not come by themselves while a test runs."""
    configure(retry_sms="first=60,cap=60,jitter=0")


@pytest.fixture
def untold(unhurried: None, shop: Shop) -> Iterator[Shop]:
    """A shop with an order that was delivered while nobody answered for text messages; each waits for its retry."""
    break_sms(shop, "faulty")
    shop.order()
    shop.drain()
    assert {state for state, _ in states(shop).values()} == {"queued"}
    break_sms(shop, None)
    yield shop
    with shop.database.read() as connection:
        assert [attempt(connection, each).examples for each in MESSAGES] == [()] * len(MESSAGES)


OVERTAKEN = ("aborted", "overtaken by delivered")
SENT = ("sent", "console")


def test_a_retry_sends_nothing_that_the_order_has_overtaken(untold: Shop) -> None:
    let_retries_come(untold)
    assert states(untold) == {
        "OrderPlaced": OVERTAKEN,
        "OrderReady": SENT,  # for a minute
        "OrderOutForDelivery": OVERTAKEN,
        "OrderDelivered": SENT,
    }
    assert [row.attempts for row in told(untold, "sms", "OrderPlaced")] == [1]
    assert {row.state for row in untold.deliveries("sms")} == {"done"}


def test_a_ready_notice_is_pointless_a_minute_after_the_order_was_delivered(untold: Shop) -> None:
    clock.move(timedelta(seconds=61))
    let_retries_come(untold)
    assert states(untold)["OrderReady"] == OVERTAKEN


def test_a_ready_notice_that_staff_aborted_goes_out_in_no_other_way(untold: Shop) -> None:
    assert abort(untold, key_of(untold, "OrderReady"))
    let_retries_come(untold)
    assert "OrderReady" not in states(untold, "email")


def in_an_hour(*_: object) -> str:
    raise Wait(3600)


def test_a_message_whose_worker_comes_late_is_not_sent_even_at_the_first_try(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled, order = shop.order(), shop.order()
    with shop.database.begin("test") as work:
        orders.cancel(work, cancelled.id, "No.", "customer", "customer")
    with monkeypatch.context() as patch:
        patch.setattr(sms, "send", in_an_hour)
        patch.setattr(email, "send", in_an_hour)
        shop.drain()
    assert shop.rows("SELECT 1 FROM messages") == []
    monkeypatch.setattr(outcome, "FRESH", timedelta())
    let_retries_come(shop)
    confirmed = {row.order_id: (row.state, row.answer, row.attempts) for row in told(shop, "sms", "OrderPlaced")}
    assert confirmed == {order.id: (*OVERTAKEN, 0), cancelled.id: ("aborted", "overtaken by cancelled", 0)}
    bills = {(row.order_id, row.state) for row in told(shop, "email", "OrderPlaced")}
    assert bills == {(order.id, "sent"), (cancelled.id, "aborted")}
    assert [row.state for row in told(shop, "sms", "OrderCancelled")] == ["sent"]


def test_a_shop_that_keeps_up_is_not_asked_what_has_overtaken_what(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def needless(_connection: object, due: Sequence[messages.Due]) -> dict[str, str]:
        asked.append(len(due))
        return {}

    monkeypatch.setattr(messages, "needless", needless)
    shop.order()
    shop.drain()
    assert asked and set(asked) == {0}
    assert {state for state, _ in states(shop).values()} == {"sent"}


@pytest.mark.parametrize("about", ["OrderPlaced", "OrderReady", "OrderOutForDelivery"])
def test_a_message_that_its_order_has_overtaken_is_not_sent_again(shop: Shop, about: str) -> None:
    shop.order()
    shop.drain()
    clock.move(timedelta(seconds=61))
    with pytest.raises(TooLateError, match="Its order is delivered by now"), shop.database.begin("test") as work:
        messages.request_again(work, key_of(shop, about), "Ada")
    assert shop.rows("SELECT 1 FROM events WHERE type = 'MessageRequeued'") == []


def test_a_message_that_is_overtaken_after_it_was_asked_for_again_is_not_sent(shop: Shop) -> None:
    order = shop.order()
    shop.fan_out()
    positions = [row.position for row in shop.deliveries("sms")]
    OutsideRunner(shop.database, catalogue, holds_countdowns=False).run(shop.registry.handlers["sms"], positions)
    with shop.database.begin("test") as work:
        messages.request_again(work, key_of(shop, "OrderPlaced"), "Ada")
        orders.cancel(work, order.id, "No.", "customer", "customer")
    shop.drain()
    found = sorted((row.state, row.answer) for row in told(shop, "sms", "OrderPlaced"))
    assert found == [("aborted", "overtaken by cancelled"), SENT]


def key_of(shop: Shop, about: str) -> str:
    return str(told(shop, "sms", about)[0].key)


def abort(shop: Shop, key: str) -> bool:
    with shop.database.begin("test") as work:
        return messages.abort(work, key, "Ada")


def test_an_aborted_message_is_not_sent_by_the_retry_on_its_way_and_is_audited_once(untold: Shop) -> None:
    key = key_of(untold, "OrderDelivered")
    assert (abort(untold, key), abort(untold, key)) == (True, False)
    let_retries_come(untold)
    assert states(untold)["OrderDelivered"] == ("aborted", "aborted by Ada")
    assert states(untold)["OrderPlaced"] == OVERTAKEN, "the others had their turn"
    assert [row.attempts for row in told(untold, "sms", "OrderDelivered")] == [1]
    (line,) = untold.rows("SELECT * FROM audit")
    assert (line.who, line.action, line.handler, line.reason) == ("Ada", "message aborted", "sms", key)
    assert line.position in {row.position for row in untold.deliveries("sms")}


def test_a_failed_message_that_was_aborted_is_not_sent_by_a_retry_of_its_dead_letter(
    untold: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_sms(untold, "faulty:permanent")
    let_retries_come(untold)
    key = key_of(untold, "OrderDelivered")
    assert states(untold)["OrderDelivered"][0] == "failed"
    assert abort(untold, key)
    break_sms(untold, None)
    retry_dead(untold.database, Chosen(None, None, None), "Ada", lambda _: None)
    monkeypatch.setattr(outcome, "FRESH", timedelta())
    untold.drain()
    assert states(untold)["OrderDelivered"] == ("aborted", "aborted by Ada")
    assert {row.state for row in untold.deliveries("sms")} == {"done"}


def test_what_was_sent_is_being_sent_or_is_no_message_cannot_be_aborted(
    untold: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_of(untold, "OrderDelivered")
    meanwhile: list[str] = []

    def send(message: Message, its_key: str) -> str:
        if its_key == key:
            with pytest.raises(BeingSentError, match="being sent at this moment"):
                abort(untold, key)
            meanwhile.append(its_key)
        return "sent meanwhile"

    monkeypatch.setattr(sms, "send", send)
    let_retries_come(untold)
    assert (meanwhile, states(untold)["OrderDelivered"]) == ([key], ("sent", "sent meanwhile"))
    with pytest.raises(TooLateError, match="was sent"):
        abort(untold, key)
    for unknown in ("", "x", "x:sms", f"{key}x", key.replace("sms", "email")):
        with pytest.raises(UnknownMessageError):
            abort(untold, unknown)
    assert untold.rows("SELECT 1 FROM audit") == []


def test_a_worker_that_comes_while_somebody_aborts_leaves_the_message_alone(untold: Shop) -> None:
    with untold.database.begin("test") as work:
        untold.execute("UPDATE deliveries SET not_before = now() WHERE state = 'pending'")
        messages.abort(work, key_of(untold, "OrderDelivered"), "Ada")
        positions = [row.position for row in untold.deliveries("sms")]
        OutsideRunner(untold.database, catalogue, holds_countdowns=False).run(
            untold.registry.handlers["sms"], positions
        )
        assert [row.state for row in untold.deliveries("sms")].count("pending") == 1
    let_retries_come(untold)
    assert states(untold)["OrderDelivered"] == ("aborted", "aborted by Ada")


def run(*words: str) -> Result:
    return CliRunner().invoke(command, words, catch_exceptions=False)


def test_messages_are_listed_without_what_is_personal_unless_it_is_asked_for(untold: Shop) -> None:
    (order_id,) = {row.order_id for row in told(untold, "sms", "OrderPlaced")}
    listed = json.loads(run("list", "--order", order_id, "--state", "queued", "--json").output)
    assert {row["about"] for row in listed} == {"OrderPlaced", "OrderReady", "OrderOutForDelivery", "OrderDelivered"}
    assert not {"recipient", "body", "subject"} & set(listed[0])
    key = key_of(untold, "OrderPlaced")
    assert "+15550100001" not in run("list").output + run("show", key).output
    assert "+15550100001" in run("show", key, "--full").output
    assert json.loads(run("show", key, "--json").output)["attempts"] == 1


@pytest.mark.parametrize("columns", ["40", "80"])
def test_keys_are_listed_whole_in_a_narrow_terminal(
    untold: Shop, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    said = run("list", "--full").output.splitlines()
    assert {row["key"] for row in json.loads(run("list", "--json").output)} <= {
        line.split()[1] for line in said if line.startswith("│ ")
    }


def test_a_message_is_sent_again_and_aborted_by_the_command_line(untold: Shop) -> None:
    key = key_of(untold, "OrderDelivered")
    assert run("abort", key).output == "The message is aborted.\n"
    assert run("abort", key).output == "The message was aborted before.\n"
    assert "(command line)" in untold.value("SELECT who FROM audit")
    assert run("again", key).output == "The message is asked for once more, as a message of its own.\n"
    late = run("again", key_of(untold, "OrderPlaced"))
    assert (late.exit_code, late.output.count("\n")) == (1, 1) and "order is delivered by now" in late.output
    untold.drain()
    assert sorted(row.state for row in told(untold, "sms", "OrderDelivered")) == ["aborted", "sent"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("show", "x"), 1, "There is no such message."),
        (("again", "x"), 1, "There is no such message."),
        (("abort", "x"), 1, "There is no such message."),
        (("abort", "00000000-0000-0000-0000-000000000000:sms"), 1, "There is no such message."),
        (("abort",), 2, "Missing argument"),
        (("list", "--state", "gone"), 2, "'gone' is not one of"),
        (("list", "--limit", "0"), 2, "0 is not in the range"),
        (("list", "--order", "zzz"), 1, ""),
    ],
)
def test_a_command_that_cannot_be_is_refused_in_a_sentence(shop: Shop, words: Any, code: int, said: str) -> None:
    result = run(*words)
    assert result.exit_code == code and said in result.output
    assert shop.rows("SELECT 1 FROM audit") == []
    assert "no messages yet" in run("list").output
