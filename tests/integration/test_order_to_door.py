"""One order's way from placing to the door, with every handler, on a real database."""

from collections.abc import Callable

import msgspec
import pytest
from sqlalchemy.exc import DBAPIError

from domain import kitchen, orders
from domain.basket import InvalidOrderError, Line
from domain.customers import Contact
from domain.events import OrderPlaced, catalogue
from domain.invariants.orders import stuck
from domain.kernel import log, personal
from domain.kernel.event import Recorded
from domain.kernel.invariant import attempt
from domain.kitchen import Kitchen
from domain.placing import KeyReusedError
from domain.settings import settings
from tasks import workflow
from tasks.gateways import switch
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration

HAPPY = [
    "OrderPlaced",
    "StockReserved",
    "OrderCookingStarted",
    "OrderReady",
    "OrderOutForDelivery",
    "OrderDelivered",
]


def test_a_delivery_goes_from_placed_to_delivered_and_writes_exactly_the_documented_events(shop: Shop) -> None:
    order = shop.order()
    assert shop.events(order) == ["OrderPlaced"]

    shop.drain()

    assert shop.status(order) == "delivered"
    assert shop.events(order) == HAPPY


def test_a_pickup_is_handed_over_the_counter(shop: Shop) -> None:
    order = shop.order(fulfilment="pickup", address=None)
    shop.drain()
    assert shop.status(order) == "delivered"
    assert shop.events(order) == [event for event in HAPPY if event != "OrderOutForDelivery"]
    (ready,) = shop.rows("SELECT body FROM messages WHERE about = 'OrderReady'")
    assert "within 10 minutes" in ready.body


@pytest.mark.parametrize(("payment", "token", "asked"), [("cash", None, []), ("card", "tok_approve", ["payments"])])
def test_placing_triggers_every_handler_that_subscribes(
    shop: Shop, payment: str, token: str | None, asked: list[str]
) -> None:
    order = shop.order(payment=payment, card_token=token)
    shop.drain()
    found = shop.rows(
        "SELECT handler FROM deliveries d JOIN events e USING (position) WHERE e.type = 'OrderPlaced'"
        " AND d.state = 'done' AND e.data->>'order_id' = :id ORDER BY handler",
        id=order.id,
    )
    assert [row.handler for row in found] == sorted(["analytics", "email", "inventory", "kitchen", "sms", *asked])
    assert shop.value("SELECT count(*) FROM tickets WHERE order_id = :id", id=order.id) == 1
    assert shop.value("SELECT count(*) FROM order_metrics WHERE order_id = :id", id=order.id) == 1
    assert shop.value("SELECT state FROM reservations WHERE order_id = :id", id=order.id) == "used"


def test_an_order_is_confirmed_by_sms_and_by_mail_with_lines_total_and_time(shop: Shop) -> None:
    order = shop.order()
    shop.drain()
    texts = {
        (row.channel, row.about): row for row in shop.rows("SELECT * FROM messages WHERE order_id = :id", id=order.id)
    }
    sms, mail = texts["sms", "OrderPlaced"], texts["email", "OrderPlaced"]
    assert order.code in sms.body and f"${order.total}" in sms.body
    assert "1 x Margherita, large" in mail.body and f"${order.total}" in mail.body
    assert f"{order.estimated_delivery_time:%H:%M}" in mail.body
    assert sms.recipient == "+15550100001" and mail.recipient == "ada@example.com"
    assert {row.state for row in texts.values()} == {"sent"}


def test_stock_falls_by_recipe_times_quantity_once_and_the_ledger_balances(shop: Shop) -> None:
    before = shop.value("SELECT quantity FROM ingredients WHERE id = 'mozzarella'")
    shop.order(Line(pizza="margherita", size="medium", quantity=3))
    shop.drain()
    assert shop.value("SELECT quantity FROM ingredients WHERE id = 'mozzarella'") == before - 3 * 110
    wrong = shop.rows(
        "SELECT i.id FROM ingredients i JOIN stock_movements m ON m.ingredient_id = i.id"
        " GROUP BY i.id, i.quantity HAVING i.quantity <> sum(m.quantity)"
    )
    assert wrong == []


def test_an_order_that_the_store_cannot_make_is_cancelled_and_told_what_is_missing(shop: Shop) -> None:
    shop.execute("UPDATE ingredients SET quantity = 70 WHERE id = 'salami'")
    order = shop.order(Line(pizza="diavola", size="medium", quantity=2))
    shop.drain()
    assert shop.status(order) == "cancelled"
    assert "spicy salami" in shop.value("SELECT cancelled_reason FROM orders WHERE id = :id", id=order.id)
    assert shop.value("SELECT quantity FROM ingredients WHERE id = 'salami'") == 70
    told = {row.channel for row in shop.rows("SELECT channel FROM messages WHERE about = 'OrderCancelled'")}
    assert told == {"sms", "email"}


def test_cancelling_before_cooking_puts_the_ingredients_back(shop: Shop) -> None:
    before = shop.value("SELECT quantity FROM ingredients WHERE id = 'salami'")
    order = shop.order()
    with shop.database.begin("cancel") as work:
        orders.cancel(work, order.id, "I am not hungry any more.", "customer")
    shop.drain()
    assert shop.status(order) == "cancelled"
    assert shop.value("SELECT quantity FROM ingredients WHERE id = 'salami'") == before
    assert shop.value("SELECT state FROM tickets WHERE order_id = :id", id=order.id) == "cancelled"


def test_a_release_that_comes_first_makes_the_later_reservation_do_nothing(shop: Shop) -> None:
    before = shop.value("SELECT quantity FROM ingredients WHERE id = 'salami'")
    order = shop.order()
    with shop.database.begin("cancel") as work:
        orders.cancel(work, order.id, "Changed my mind.", "customer")
    shop.fan_out()
    shop.run("inventory", "OrderCancelled")
    shop.run("inventory", "OrderPlaced")
    assert shop.value("SELECT state FROM reservations WHERE order_id = :id", id=order.id) == "released"
    assert shop.value("SELECT quantity FROM ingredients WHERE id = 'salami'") == before
    assert "StockReserved" not in shop.events(order)


def test_a_reservation_that_is_known_before_the_ticket_lets_the_order_cook_all_the_same(shop: Shop) -> None:
    order = shop.order()
    shop.fan_out()
    shop.run("inventory", "OrderPlaced")
    shop.fan_out()
    shop.run("kitchen", "StockReserved")
    shop.run("kitchen", "OrderPlaced")
    assert shop.status(order) == "cooking"


def test_a_cancellation_that_reaches_the_kitchen_first_leaves_no_open_ticket(shop: Shop) -> None:
    order = shop.order()
    with shop.database.begin("cancel") as work:
        orders.cancel(work, order.id, "Changed my mind.", "customer")
    shop.fan_out()
    shop.run("kitchen", "OrderCancelled")
    shop.run("kitchen", "OrderPlaced")
    assert shop.value("SELECT state FROM tickets WHERE order_id = :id", id=order.id) == "cancelled"


def test_a_part_that_is_baked_twice_is_baked_once(shop: Shop, configure: Callable[..., None]) -> None:
    configure(bake_seconds=60)
    shop.order()
    shop.drain()
    load = shop.value("SELECT id FROM oven_loads")
    baked = "SELECT number, state, burns, baked_at FROM ticket_pizzas WHERE part = 0"
    with shop.database.begin("bake") as work:
        kitchen.bake(work, load, 0)
    once = shop.rows(baked)
    with shop.database.begin("bake again") as work:
        kitchen.bake(work, load, 0, "*")
    assert [row.state for row in once] == ["baked"]
    assert shop.rows(baked) == once


def test_a_load_whose_chord_was_lost_is_baked_when_its_timer_comes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = workflow.start, list[str]()

    def lose_the_first(load_id: str, parts: list[int], seconds: float) -> None:
        started.append(load_id)
        if len(started) > 1:
            start(load_id, parts, seconds)

    monkeypatch.setattr(workflow, "start", lose_the_first)
    order = shop.order()
    shop.drain()
    assert len(started) == 2
    assert shop.status(order) == "delivered"
    assert shop.events(order) == HAPPY


def test_what_is_handled_in_any_order_ends_in_the_same_state(shop: Shop) -> None:
    order = shop.order()
    shop.drain()
    moments = shop.rows(
        "SELECT position, type FROM events WHERE stream = :s ORDER BY position DESC", s=f"order-{order.id}"
    )
    for moment in moments:  # a week replayed, backwards
        shop.execute(
            "UPDATE deliveries SET state = 'pending', dispatched_at = NULL WHERE position = :p", p=moment.position
        )
        shop.drain()
    assert shop.value("SELECT count(*) FROM deliveries WHERE state <> 'done' AND handler <> 'oven'") == 0
    assert shop.status(order) == "delivered"
    assert shop.events(order) == HAPPY
    assert shop.value("SELECT count(*) FROM messages WHERE order_id = :id", id=order.id) == 5


def test_a_cooking_order_can_no_longer_be_cancelled(shop: Shop, configure: Callable[..., None]) -> None:
    configure(bake_seconds=60)
    order = shop.order()
    shop.drain()
    assert shop.status(order) == "cooking"
    with pytest.raises(orders.TooLateError), shop.database.begin("cancel") as work:
        orders.cancel(work, order.id, "Too slow.", "customer")


def test_a_sixth_order_waits_while_five_are_in_the_oven(shop: Shop, configure: Callable[..., None]) -> None:
    configure(bake_seconds=60, oven_capacity=5)
    placed = [shop.order() for _ in range(6)]
    shop.drain()
    assert sorted(shop.status(order) for order in placed) == ["cooking"] * 5 + ["placed"]


def test_a_higher_priority_placed_later_goes_into_the_oven_first(shop: Shop, configure: Callable[..., None]) -> None:
    configure(bake_seconds=60, oven_capacity=1)
    first = shop.order()
    shop.drain()
    delivery, pickup = shop.order(), shop.order(fulfilment="pickup", address=None)
    shop.drain()
    shop.execute("UPDATE ticket_pizzas SET state = 'baked' WHERE state = 'baking'")
    load = shop.value("SELECT max(id) FROM oven_loads")
    workflow.plate(load)
    shop.drain()
    assert [shop.status(order) for order in (first, delivery, pickup)] == ["delivered", "placed", "cooking"]


def test_a_burnt_pizza_delays_its_own_order_only_and_is_given_up_after_three_burns(shop: Shop) -> None:
    shop.execute("INSERT INTO switches VALUES ('oven', 'faulty:diavola')")
    burnt = shop.order()
    good = shop.order(Line(pizza="margherita", size="small", quantity=2))
    shop.drain()
    assert shop.status(good) == "delivered"
    assert shop.status(burnt) == "cooking"
    assert shop.value("SELECT state FROM tickets WHERE order_id = :id", id=burnt.id) == "failed"
    pizzas = {row.pizza: row for row in shop.rows("SELECT * FROM ticket_pizzas WHERE order_id = :id", id=burnt.id)}
    assert pizzas["margherita"].state == "baked" and pizzas["diavola"].burns == 3
    assert shop.events(burnt).count("OrderReady") == 0


def test_personal_fields_are_not_readable_in_the_log_without_the_customers_key(shop: Shop) -> None:
    shop.order(contact=Contact("Grace Hopper", "+15550100002", "grace@example.com"), address="2 Compiler Lane")
    stored = shop.value("SELECT string_agg(data::text, ' ') FROM events")
    for secret in ("Grace", "5550100002", "grace@", "Compiler Lane"):
        assert secret not in stored


def test_the_log_refuses_update_delete_and_truncate(shop: Shop) -> None:
    shop.order()
    for statement in ("UPDATE events SET type = 'X'", "DELETE FROM events", "TRUNCATE events CASCADE"):
        with pytest.raises(DBAPIError, match="append-only"):
            shop.execute(statement)


def test_a_repeated_request_gets_its_order_even_if_the_pizza_has_sold_out_since(shop: Shop) -> None:
    order = shop.order(key="k1")
    shop.execute("UPDATE pizzas SET sold_out = true WHERE id = 'diavola'")
    assert shop.order(key="k1") == order
    with pytest.raises(InvalidOrderError, match="sold out"):
        shop.order(key="k2")


def test_a_key_that_was_used_for_another_order_is_refused(shop: Shop) -> None:
    shop.order(key="k1")
    with pytest.raises(KeyReusedError):
        shop.order(key="k1", address="2 Other Street")


def test_an_order_whose_transaction_rolls_back_leaves_no_event_and_no_message(shop: Shop) -> None:
    order = shop.order()
    before = shop.value("SELECT count(*) FROM events"), shop.value("SELECT count(*) FROM outbox")

    def cancel_and_fail() -> None:
        with shop.database.begin("rollback") as work:
            orders.cancel(work, order.id, "No.", "customer")
            work.flush()
            assert work.run("SELECT count(*) FROM outbox").scalar_one() == before[1] + 1
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        cancel_and_fail()
    assert (shop.value("SELECT count(*) FROM events"), shop.value("SELECT count(*) FROM outbox")) == before
    assert shop.status(order) == "placed"


def test_every_event_of_an_order_bears_its_correlation_and_a_cause(shop: Shop) -> None:
    first, second = shop.order(), shop.order()
    shop.drain()
    for order in (first, second):
        told = shop.rows("SELECT * FROM events WHERE data->>'order_id' = :id ORDER BY position", id=order.id)
        assert len({event.correlation_id for event in told}) == 1
        assert [event.type for event in told if event.causation_id is None] == ["OrderPlaced"]


def test_a_customer_whose_key_is_dropped_is_erased_from_the_log(shop: Shop) -> None:
    order = shop.order()
    stream = f"order-{order.id}"
    with shop.database.engine.begin() as connection:
        (before,) = log.read_streams(connection, catalogue, [stream])[stream]
        personal.drop_key(connection, order.customer_id)
        (after,) = log.read_streams(connection, catalogue, [stream])[stream]
    assert isinstance(before, Recorded) and isinstance(before.event, OrderPlaced)
    assert before.event.customer_name == "Ada Lovelace"
    assert isinstance(after, Recorded) and isinstance(after.event, OrderPlaced)
    assert (after.event.customer_name, after.event.customer_phone, after.event.delivery_address) == (None, None, None)
    assert after.event.total_amount == order.total


def test_a_stored_payload_has_exactly_the_keys_of_its_published_schema(shop: Shop) -> None:
    shop.order()
    shop.drain()
    for row in shop.rows("SELECT DISTINCT type, ARRAY(SELECT jsonb_object_keys(data) ORDER BY 1) AS keys FROM events"):
        schema = msgspec.json.schema(catalogue.types[row.type])
        assert row.keys == sorted(schema["$defs"][row.type]["properties"]), row.type


def test_an_order_sent_back_to_the_oven_is_baked_and_delivered(shop: Shop) -> None:
    shop.execute("INSERT INTO switches VALUES ('oven', 'faulty')")
    order = shop.order()
    shop.drain()
    assert shop.value("SELECT state FROM tickets") == "failed"
    shop.execute("DELETE FROM switches")
    switch._read.clear()
    with shop.database.begin("staff") as work:
        assert Kitchen(settings()).send_back(work, order.id)
    shop.drain()
    assert shop.status(order) == "delivered"


def test_while_the_oven_is_out_tickets_wait_and_what_is_in_it_is_baked(
    shop: Shop, configure: Callable[..., None]
) -> None:
    configure(bake_seconds=60)
    inside = shop.order()
    shop.drain()
    shop.execute("INSERT INTO switches VALUES ('oven', 'out')")
    waiting = shop.order()
    shop.drain()
    workflow.tend()
    load = shop.value("SELECT id FROM oven_loads")
    workflow._bake_now(load, 0)
    workflow._bake_now(load, 1)
    workflow.plate(load)
    shop.drain()
    assert (shop.status(inside), shop.status(waiting)) == ("delivered", "placed")
    assert shop.value("SELECT sum(burns) FROM ticket_pizzas") == 0
    with shop.database.read() as connection:
        assert attempt(connection, stuck(settings())).violations == 0
    shop.execute("DELETE FROM switches")
    with shop.database.read() as connection:
        assert attempt(connection, stuck(settings())).violations == 1
    workflow.tend()
    assert shop.status(waiting) == "cooking"


def test_the_driver_who_comes_free_takes_the_order_that_was_ready_first(
    shop: Shop, configure: Callable[..., None]
) -> None:
    configure(drivers=1, drive_seconds=60)
    first, second, third = shop.order(), shop.order(), shop.order()
    shop.drain()
    out = [shop.status(order) for order in (first, second, third)]
    assert sorted(out) == ["out_for_delivery", "ready", "ready"]
    oldest = shop.value("SELECT order_id FROM tours WHERE state = 'waiting' ORDER BY ready_at, order_id LIMIT 1")
    shop.execute("UPDATE tours SET due_at = now() WHERE state = 'out'")
    shop.execute("UPDATE deliveries SET not_before = now() WHERE handler = 'delivery' AND state = 'pending'")
    shop.drain()
    assert shop.value("SELECT order_id FROM tours WHERE state = 'out'") == oldest
