"""Payments by card: held, taken, given back, and never twice, whatever the card and the service do."""

from collections.abc import Callable
from typing import Any

import pytest

from domain import kitchen, orders, payments
from domain.basket import Line
from domain.invariants.money import PAYMENTS
from domain.invariants.orders import ORDERS
from domain.invariants.store import STOCK
from domain.kernel.invariant import attempt
from domain.orders import Order
from domain.payments import APPROVE, DECLINE, DOWN, TIMEOUT, TIMEOUT_CHARGED, Change
from domain.placing import KeyReusedError
from domain.settings import settings
from tasks.gateways.payment import Charge, Declined, Held
from tasks.gateways.sandbox import Sandbox
from tasks.registry import registry
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration


def by_card(shop: Shop, token: str, *lines: Line, **changes: Any) -> Order:
    return shop.order(*lines, payment="card", card_token=token, **changes)


def cancel(shop: Shop, order: Order) -> None:
    with shop.database.begin("test") as work:
        orders.cancel(work, order.id, "Changed my mind.", "customer")


def payment(shop: Shop, order: Order) -> Any:
    (row,) = shop.rows("SELECT * FROM payments WHERE order_id = :id", id=order.id)
    return row


def charges(shop: Shop) -> list[str]:
    return [row.state for row in shop.rows("SELECT state FROM sandbox.charges ORDER BY first_asked_at")]


def postings(shop: Shop, order: Order) -> dict[tuple[str, str], int]:
    rows = shop.rows("SELECT why, account, cents FROM postings WHERE order_id = :id", id=order.id)
    return {(row.why, row.account): row.cents for row in rows}


def now_due(shop: Shop) -> None:
    """Have everything that waits for a retry be due, and deliver it."""
    shop.execute("UPDATE deliveries SET not_before = now() WHERE state = 'pending'")
    shop.drain()


def assert_all_holds(shop: Shop) -> None:
    with shop.database.read() as connection:
        found = [attempt(connection, each) for each in (*ORDERS, *STOCK, *PAYMENTS)]
    assert [(f.invariant.title, f.examples) for f in found if f.violations] == []


def test_a_card_is_held_for_a_placed_order_and_charged_for_a_delivered_one(shop: Shop, configure: Any) -> None:
    configure(tax_rate="0.1")
    order = by_card(shop, APPROVE)
    shop.drain()
    assert shop.status(order) == "delivered"
    assert payment(shop, order).state == "captured"
    assert charges(shop) == ["captured"]
    assert [event for event in shop.events(order) if event.startswith("Payment")] == [
        "PaymentProcessed",
        "PaymentCaptured",
    ]
    total, tax = int(order.total * 100), int(order.tax * 100)
    assert tax
    assert postings(shop, order) == {
        ("captured", "card"): total,
        ("captured", "sales"): tax - total,
        ("captured", "tax"): -tax,
    }
    assert_all_holds(shop)


def test_cash_makes_no_payment(shop: Shop) -> None:
    order = shop.order()
    shop.drain()
    assert shop.status(order) == "delivered"
    assert not [event for event in shop.events(order) if event.startswith("Payment")]
    assert charges(shop) == []


def test_the_kitchen_waits_for_the_money(shop: Shop) -> None:
    order = by_card(shop, APPROVE)
    shop.execute("INSERT INTO switches (gateway, mode) VALUES ('payment', 'faulty')")
    shop.drain()
    assert shop.status(order) == "placed"
    assert shop.value("SELECT stock_reserved FROM tickets WHERE order_id = :id", id=order.id)
    with shop.database.begin("test") as work:
        kitchen.Kitchen(settings()).fire(work)
    assert shop.status(order) == "placed"


def test_a_declined_card_undoes_all_that_was_done_and_tells_why(shop: Shop) -> None:
    before = shop.rows("SELECT id, quantity FROM ingredients ORDER BY id")
    order = by_card(shop, DECLINE)
    shop.drain()
    assert shop.status(order) == "cancelled"
    assert shop.rows("SELECT id, quantity FROM ingredients ORDER BY id") == before
    assert shop.value("SELECT state FROM tickets WHERE order_id = :id", id=order.id) == "cancelled"
    assert payment(shop, order).state == "declined"
    assert postings(shop, order) == {}
    told = shop.rows(
        "SELECT channel, body FROM messages WHERE order_id = :id AND about = 'OrderCancelled' ORDER BY channel",
        id=order.id,
    )
    assert [row.channel for row in told] == ["email", "sms"]
    assert all("The card was declined." in row.body for row in told)
    assert_all_holds(shop)


def test_no_ingredients_let_go_of_what_was_held_on_the_card(shop: Shop) -> None:
    order = by_card(shop, APPROVE, Line(pizza="margherita", size="large", quantity=100_000))
    shop.drain()
    now_due(shop)
    assert shop.status(order) == "cancelled"
    assert charges(shop) in ([], ["voided"])
    assert payment(shop, order).state == "voided"
    assert_all_holds(shop)


def test_a_cancelled_order_lets_go_of_what_is_held(shop: Shop) -> None:
    shop.execute("INSERT INTO switches (gateway, mode) VALUES ('oven', 'faulty')")
    order = by_card(shop, APPROVE)
    shop.fan_out()
    deliver(shop, "payments")
    assert charges(shop) == ["held"]
    cancel(shop, order)
    shop.drain()
    assert charges(shop) == ["voided"]
    assert payment(shop, order).state == "voided"
    assert "PaymentVoided" in shop.events(order)
    assert postings(shop, order) == {}
    assert_all_holds(shop)


def deliver(shop: Shop, handler: str) -> None:
    """Deliver what is due to one handler only."""
    others = "WHERE handler <> :handler AND state = 'pending'"
    shop.execute(f"UPDATE deliveries SET not_before = now() + interval '1 day' {others}", handler=handler)
    shop.drain()
    shop.execute(f"UPDATE deliveries SET not_before = now() {others}", handler=handler)


def test_a_cancellation_that_comes_before_the_charge_has_nobody_charged(shop: Shop) -> None:
    order = by_card(shop, APPROVE)
    cancel(shop, order)
    shop.drain()
    now_due(shop)
    assert charges(shop) == []
    assert payment(shop, order).state == "voided"
    assert "PaymentVoided" not in shop.events(order)
    assert_all_holds(shop)


def test_a_cancellation_waits_for_the_answer_about_the_card_and_then_gives_back(shop: Shop) -> None:
    order = by_card(shop, TIMEOUT_CHARGED)
    shop.drain()
    assert charges(shop) == ["held"]
    assert shop.rows("SELECT 1 FROM payments") == []
    cancel(shop, order)
    shop.drain()
    for _ in range(3):
        now_due(shop)
    assert charges(shop) == ["voided"]
    assert payment(shop, order).state == "voided"
    assert_all_holds(shop)


def test_an_order_cancelled_in_the_midst_of_the_asking_gets_its_money_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = by_card(shop, APPROVE)
    ask, asked = Sandbox.authorise, []

    def ask_for_long(self: Sandbox, charge: Charge, key: str) -> Held | Declined:
        asked.append(key)
        if len(asked) == 1:
            cancel(shop, order)
            shop.drain()  # a second worker: it cannot know yet whether there is something to give back
        return ask(self, charge, key)

    monkeypatch.setattr(Sandbox, "authorise", ask_for_long)
    shop.drain()
    now_due(shop)
    assert charges(shop) == ["voided"]
    assert payment(shop, order).state == "voided"
    assert_all_holds(shop)


def test_a_charge_that_was_made_and_given_up_is_found_and_let_go_of(shop: Shop, configure: Callable[..., None]) -> None:
    configure(retry_payments="times=0")
    hasty = Shop(shop.url, registry())
    order = by_card(hasty, TIMEOUT_CHARGED)
    hasty.drain()
    now_due(hasty)
    assert hasty.status(order) == "cancelled"
    assert charges(hasty) == ["voided"]
    assert payment(hasty, order).state == "voided"


@pytest.mark.parametrize("state", ["authorised", "declined", "unanswered", "voided", "captured"])
def test_a_step_that_a_payment_cannot_take_changes_nothing(shop: Shop, state: str) -> None:
    order = by_card(shop, APPROVE)
    shop.drain()
    before = shop.rows("SELECT * FROM payments"), shop.rows("SELECT * FROM postings"), shop.events(order)
    with shop.database.begin("test") as work:
        payments.write_down(work, [Change(order.id, state, "key")])
    assert (shop.rows("SELECT * FROM payments"), shop.rows("SELECT * FROM postings"), shop.events(order)) == before


def test_what_was_captured_is_refunded_and_the_books_say_so(shop: Shop) -> None:
    order = by_card(shop, APPROVE)
    shop.drain()
    for _ in range(2):
        with shop.database.begin("test") as work:
            payments.write_down(work, [Change(order.id, "refunded", "key")])
    assert shop.value("SELECT sum(cents) FROM postings WHERE account = 'card'") == 0
    assert shop.value("SELECT count(*) FROM postings WHERE why = 'refunded'") == 2
    assert shop.events(order).count("PaymentRefunded") == 1


def test_a_charge_whose_answer_was_lost_is_found_again_and_made_once(shop: Shop) -> None:
    order = by_card(shop, TIMEOUT_CHARGED)
    shop.drain()
    assert shop.status(order) == "placed"
    now_due(shop)
    assert shop.status(order) == "delivered"
    assert charges(shop) == ["captured"]
    assert shop.value("SELECT asked FROM sandbox.charges") == 2
    assert_all_holds(shop)


def test_a_service_that_is_down_for_thirty_seconds_only_delays_the_order(shop: Shop) -> None:
    order = by_card(shop, DOWN)
    shop.drain()
    now_due(shop)
    assert shop.status(order) == "placed"
    shop.execute("UPDATE sandbox.charges SET first_asked_at = first_asked_at - interval '31 seconds'")
    now_due(shop)
    assert shop.status(order) == "delivered"
    assert_all_holds(shop)


def test_a_card_that_never_gets_an_answer_is_given_up_and_nothing_stays_held(
    shop: Shop, configure: Callable[..., None]
) -> None:
    configure(retry_payments="times=1,first=0.1,cap=0.1")
    again = Shop(shop.url, registry())
    order = by_card(again, TIMEOUT)
    again.drain()
    now_due(again)
    now_due(again)
    assert again.status(order) == "cancelled"
    assert payment(again, order).state in {"unanswered", "voided"}
    reason = again.value("SELECT cancelled_reason FROM orders WHERE id = :id", id=order.id)
    assert reason == "The payment could not be made."
    assert postings(again, order) == {}


def test_a_capture_that_is_delivered_twice_is_made_and_posted_once(shop: Shop) -> None:
    order = by_card(shop, APPROVE)
    shop.drain()
    position = shop.value("SELECT position FROM events WHERE type = 'OrderDelivered'")
    shop.execute("UPDATE deliveries SET state = 'pending' WHERE position = :p AND handler = 'payments'", p=position)
    now_due(shop)
    assert shop.value("SELECT count(*) FROM events WHERE type = 'PaymentCaptured'") == 1
    assert shop.value("SELECT sum(cents) FROM postings WHERE order_id = :id", id=order.id) == 0


def test_another_card_with_the_same_key_is_another_order(shop: Shop) -> None:
    first = by_card(shop, APPROVE, key="same")
    again = by_card(shop, APPROVE, key="same")
    assert first.id == again.id
    with pytest.raises(KeyReusedError):
        by_card(shop, DECLINE, key="same")
