"""`pizzeria check` holds after an ordinary day, and finds each thing that is broken by hand."""

import json
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner

from domain import accounts, inventory, procurement
from domain.payments import APPROVE
from tasks.cli.check import command

pytestmark = pytest.mark.integration


def check(*more: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(command, ["--wait", "0", "--json", *more], catch_exceptions=False)
    found: dict[str, Any] = json.loads(result.stdout)
    return result.exit_code, found


def violated(found: dict[str, Any]) -> list[str]:
    return [line["title"] for line in found["invariants"] if line["violations"]]


@pytest.fixture
def busy(shop: Any) -> Any:
    """A shop that delivered three orders, one by card, and cancelled one for want of mozzarella; two were on account.

    The mozzarella has come since; basil is on its way.
    """
    shop.order()
    shop.order(payment="card", card_token=APPROVE)
    with shop.database.begin("test") as work:
        accounts.set_limit(work, work.column("SELECT id FROM customers")[0], Decimal(100), "ada")
    shop.order(fulfilment="pickup", address=None, payment="account")
    shop.drain()
    unlucky = shop.order(payment="account")
    with shop.database.begin("waste") as work:
        inventory.count(work, "mozzarella", 0)
    shop.drain()
    assert shop.status(unlucky) == "cancelled"
    with shop.database.begin("receive") as work:
        procurement.receive(work, shop.value("SELECT id FROM purchases"), "staff")
    with shop.database.begin("waste") as work:
        inventory.waste(work, "basil", 3_900)
    shop.drain()
    for table in ("events", "postings", "loyalty_entries", "account_entries"):
        shop.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    return shop


def test_everything_holds_after_an_ordinary_day(busy: Any) -> None:
    assert sorted(row.status for row in busy.rows("SELECT status FROM orders")) == [
        "cancelled",
        "delivered",
        "delivered",
        "delivered",
    ]
    code, found = check()
    assert violated(found) == []
    assert (code, found["ok"], found["quiet"]) == (0, True, True)
    assert [line["title"] for line in found["invariants"] if line["skipped"]] == ["The broker's queues are empty"]


BREAKAGES = {
    "Every stream is numbered 1 to n without a gap": "UPDATE events SET sequence = 9 WHERE type = 'OrderDelivered'",
    "Every cause is an earlier event, so causation has no cycle": (
        "UPDATE events SET causation_id = (SELECT id FROM events ORDER BY position DESC LIMIT 1) WHERE position ="
        " (SELECT min(position) FROM events)"
    ),
    "Every event went to every handler subscribed to it": (
        "WITH moved AS (UPDATE subscriptions SET since = since - interval '1 hour')"
        " DELETE FROM deliveries WHERE handler = 'sms' AND position = (SELECT max(position) FROM deliveries"
        " WHERE handler = 'sms')"
    ),
    "What is done says when, and what is parked says why": (
        "UPDATE deliveries SET state = 'parked', error = NULL WHERE handler = 'sms'"
    ),
    "An order's state is what its events make of it": (
        "UPDATE orders SET status = 'ready' WHERE id = (SELECT min(id) FROM orders WHERE status = 'delivered')"
    ),
    "Orders take only legal steps": (
        "UPDATE events SET type = 'OrderOutForDelivery' WHERE type = 'OrderReady'"
        " AND data ->> 'fulfilment' = 'delivery'"
    ),
    "An order ends once, and nothing happens to it afterwards": (
        "INSERT INTO events (id, type, version, stream, sequence, data, correlation_id)"
        " SELECT gen_random_uuid(), 'OrderCancelled', 1, stream, sequence + 1, data, correlation_id FROM events"
        " WHERE type = 'OrderDelivered'"
    ),
    "No order stands still without a reason": "UPDATE orders SET status = 'cooking' WHERE status = 'delivered'",
    "The stock ledger sums to what is in the store": (
        "UPDATE ingredients SET quantity = quantity + 1 WHERE id = 'basil'"
    ),
    "Stock never was below zero": (
        "INSERT INTO stock_movements (ingredient_id, reason, quantity)"
        " VALUES ('basil', 'wasted', -100000000), ('basil', 'counted', 100000000)"
    ),
    "What an order reserved has moved once, and what it released has come back": (
        "INSERT INTO stock_movements (ingredient_id, reason, quantity, order_id)"
        " SELECT ingredient_id, reason, quantity, order_id FROM stock_movements WHERE reason = 'reserved'"
    ),
    "Every order that is made has its ingredients": "UPDATE reservations SET state = 'released'",
    "What is made has used its ingredients, and nothing else has": (
        "UPDATE reservations SET state = 'used' WHERE state = 'refused'"
    ),
    "What is low is on its way": (
        "UPDATE purchases SET state = 'received', received_at = now() WHERE ingredient_id = 'basil'"
    ),
    "What there is enough of is not taken for low": "UPDATE ingredients SET low_until = 1 WHERE id = 'salami'",
    "Every purchase came into the store once, or is still open": (
        "UPDATE stock_movements SET quantity = quantity + 1 WHERE purchase_id IS NOT NULL"
    ),
    "Every purchase was recorded as it was ordered and received": (
        "UPDATE events SET type = 'StockCounted' WHERE type = 'StockReceived'"
    ),
    "The sandbox has sent every message that we say it has, and only what we asked for": (
        "UPDATE messages SET answer = 'sandbox_1' WHERE about = 'OrderReady' AND channel = 'sms'"
    ),
    "The sandbox has sent one confirmation mail for an order, and one text that it is ready": (
        "INSERT INTO sandbox.messages (key, channel, reference, state)"
        " SELECT concat(id, chr(58), handler), 'sms', concat(id, handler), 'sent'"
        " FROM events, (VALUES ('sms'), ('again')) h (handler)"
        " WHERE type = 'OrderReady'"
    ),
    "Every purchase was sent to its supplier by one mail": "DELETE FROM messages WHERE purchase_id IS NOT NULL",
    "No cancelled order keeps ingredients": "UPDATE reservations SET state = 'reserved' WHERE state <> 'reserved'",
    "Ready only when every pizza was baked, each once": (
        "UPDATE ticket_pizzas SET baked_at = baked_at + interval '1 minute' WHERE number = 1"
    ),
    "Tickets agree with their orders": "UPDATE tickets SET state = 'cooking' WHERE state = 'done'",
    "A driver carries one tour at a time": (
        "INSERT INTO tours SELECT order_id || 'b', state, fulfilment, driver_id, ready_at,"
        " departed_at - interval '1 second', due_at, delivered_at + interval '1 second' FROM tours"
        " WHERE driver_id IS NOT NULL"
    ),
    "Tours agree with their orders": "UPDATE tours SET state = 'waiting' WHERE fulfilment = 'pickup'",
    "No order by card is made before its money is held": "UPDATE payments SET state = 'voided'",
    "Every payment stands as its order does": "UPDATE payments SET state = 'authorised'",
    "The postings of an order sum to zero": "UPDATE postings SET cents = cents + 1 WHERE account = 'card'",
    "What was captured or refunded is posted, once and whole": "DELETE FROM postings",
    "The sandbox's books say of every payment what ours say": "UPDATE sandbox.charges SET state = 'held'",
    "Every order with an e-mail address has one confirmation mail": (
        "DELETE FROM messages WHERE channel = 'email' AND about = 'OrderPlaced'"
    ),
    "Every order that got ready has one text message about it": (
        "INSERT INTO messages SELECT key || 'again', order_id, customer_id, channel, about, recipient, subject, body,"
        " state, attempts, answer, created_at, sent_at FROM messages WHERE channel = 'sms' AND about = 'OrderReady'"
    ),
    "Every message was caused by an event, each once for a handler": (
        "UPDATE messages SET key = gen_random_uuid()::text WHERE about = 'OrderDelivered'"
    ),
    "The figures know every order as it was placed": "UPDATE order_metrics SET order_value = order_value + 1",
    "The figures know every line of every order": "UPDATE sales_lines SET size = 'small' WHERE line = 1",
    "The figures know how every order ended": "DELETE FROM order_outcomes WHERE outcome = 'cancelled'",
    "The figures know how long every order took": (
        "UPDATE preparation_metrics SET preparation_time = preparation_time + 1"
    ),
    "The ledger of points sums to the balances": "UPDATE loyalty_balances SET points = points + 1",
    "Nobody ever had fewer than no points": (
        "INSERT INTO loyalty_entries (customer_id, reason, about, points, at)"
        " SELECT customer_id, 'sent', 't', -1000000, now() FROM loyalty_balances"
        " UNION ALL SELECT customer_id, 'received', 't', 1000000, now() FROM loyalty_balances"
    ),
    "A delivered order has earned its points, once, and no other order has": (
        "UPDATE loyalty_entries SET points = points - 1 WHERE about ="
        " (SELECT min(id) FROM orders WHERE status = 'delivered')"
    ),
    "What one customer gave, the other got": (
        "INSERT INTO loyalty_entries (customer_id, reason, about, points, at)"
        " SELECT customer_id, 'received', 't', 5, now() FROM loyalty_balances"
    ),
    "The ledger of house accounts sums to what is owed": "UPDATE house_accounts SET balance = balance + 1",
    "What is put on an account is charged, once": (
        "UPDATE orders SET payment = 'cash' WHERE payment = 'account' AND status = 'delivered'"
    ),
    "Only cancelled orders are taken off an account": (
        "INSERT INTO account_entries (customer_id, reason, about, amount, at)"
        " SELECT customer_id, 'cancelled', id, -total, now() FROM orders"
        " WHERE payment = 'account' AND status = 'delivered'"
    ),
    "An account owes its open orders, less what was paid": (
        "UPDATE account_entries SET reason = 'paid' WHERE reason = 'cancelled'"
    ),
    "What analytics keeps is what the log makes of it": "UPDATE order_metrics SET customer_type = 'returning'",
}


REPEATS = "Messages that the sandbox was asked for more than once, and sent once"


@pytest.mark.parametrize("title", BREAKAGES)
def test_check_finds_what_is_broken(title: str, busy: Any) -> None:
    busy.execute(BREAKAGES[title])
    code, found = check()
    assert code == 1
    assert title in violated(found)
    assert all(line["examples"] for line in found["invariants"] if line["violations"])


def test_the_breakages_cover_every_invariant_but_those_that_the_schema_itself_keeps(busy: Any) -> None:
    _, found = check()
    elsewhere = {"An idempotency key has one order", "The broker's queues are empty", REPEATS}
    titles = {line["title"] for line in found["invariants"] if not line["title"].startswith("The oven never held")}
    assert titles - elsewhere == set(BREAKAGES)


def test_a_gap_behind_a_handlers_first_delivery_is_found_however_new_its_subscription_is(busy: Any) -> None:
    busy.execute(
        "DELETE FROM deliveries WHERE handler = 'analytics' AND position = (SELECT max(position) FROM events"
        " WHERE type = 'OrderPlaced')"
    )
    assert "Every event went to every handler subscribed to it" in violated(check()[1])


def test_a_handler_subscribed_just_now_is_not_blamed_for_what_was_before_it(busy: Any) -> None:
    busy.execute("INSERT INTO subscriptions (event_type, handler) VALUES ('OrderPlaced', 'webhooks')")
    assert violated(check()[1]) == []


def test_an_overfull_oven_is_found(busy: Any) -> None:
    busy.execute("UPDATE oven_loads SET capacity = 1, fired_at = (SELECT min(fired_at) FROM oven_loads)")
    code, found = check()
    assert code == 1
    assert [title for title in violated(found) if title.startswith("The oven never held more orders")]


def test_a_delivery_that_is_due_is_not_quiet_and_is_named_by_its_handler(busy: Any) -> None:
    busy.execute("UPDATE deliveries SET state = 'pending', done_at = NULL, dispatched_at = NULL WHERE handler = 'sms'")
    code, found = check()
    assert (code, found["quiet"]) == (1, False)
    assert found["pending"] == {"outbox": 0, "sms": busy.value("SELECT count(*) FROM deliveries WHERE handler = 'sms'")}
    assert "not all is done yet" in {line["skipped"] for line in found["invariants"]}


def test_a_delivery_postponed_beyond_the_wait_is_quiet(busy: Any) -> None:
    busy.execute(
        "UPDATE deliveries SET state = 'pending', done_at = NULL, dispatched_at = NULL,"
        " not_before = now() + interval '1 hour' WHERE handler = 'sms' AND position = (SELECT max(position)"
        " FROM deliveries WHERE handler = 'sms')"
    )
    _, found = check()
    assert (found["quiet"], found["later"], violated(found)) == (True, 1, [])


def test_a_person_sees_a_line_for_each_invariant(busy: Any) -> None:
    busy.execute(BREAKAGES["The figures know how every order ended"])
    result = CliRunner().invoke(command, ["--wait", "0"], catch_exceptions=False)
    assert result.exit_code == 1
    assert "ok  Orders take only legal steps" in result.stdout
    assert "1 ✗   The figures know how every order ended" in result.stdout
    assert "Traceback" not in result.output
