"""The journey of an order, and the events it is made of."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tasks.cli import events, gateway, journey

pytestmark = pytest.mark.integration

PUBLIC = {
    "position",
    "id",
    "type",
    "version",
    "stream",
    "sequence",
    "recorded_at",
    "correlation_id",
    "causation_id",
    "data",
}
ORDERS = ["OrderPlaced", "OrderCookingStarted", "OrderReady", "OrderOutForDelivery", "OrderDelivered"]


def run(command: Any, *words: str) -> Result:
    return CliRunner().invoke(command, list(words))


def recorded(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(events.command, "--json", *words).output)
    return found


def test_a_journey_tells_every_event_delivery_and_message_of_its_order_only(shop: Any) -> None:
    order, _other = shop.order(), shop.order()
    shop.drain()
    told = json.loads(run(journey.command, order.id, "--json").output)
    assert told["order_id"] == order.id
    types = [event["type"] for event in told["events"]]
    assert [name for name in types if name.startswith("Order")] == ORDERS
    assert {"StockReserved", "OvenLoadFired"} <= set(types)
    assert {event["data"].get("order_id", order.id) for event in told["events"]} == {order.id}
    placed = told["events"][0]
    handlers = {"analytics", "email", "inventory", "kitchen", "sms"}
    assert {leg["handler"] for leg in placed["deliveries"]} == handlers
    assert all(leg["state"] == "done" and leg["wait_seconds"] >= 0 for leg in placed["deliveries"])
    assert [m["about"] for m in told["messages"] if m["channel"] == "email"] == ["OrderPlaced"]


def test_orders_that_came_with_one_correlation_id_keep_their_own_journeys(shop: Any) -> None:
    order, other = shop.order(), shop.order()
    shop.execute("ALTER TABLE events DISABLE TRIGGER USER")
    shop.execute("UPDATE events SET correlation_id = 'one-request'")
    shop.drain()
    told = recorded("--order", order.id)
    assert [event["type"] for event in told if event["stream"] == f"order-{order.id}"] == ORDERS
    assert not [event for event in told if event["data"].get("order_id") == other.id]


def test_a_failed_delivery_shows_how_often_and_why(shop: Any) -> None:
    shop.execute("INSERT INTO switches VALUES ('sms', 'faulty:permanent')")
    order = shop.order()
    shop.drain()
    shown = run(journey.command, order.code).output
    assert "parked" in shown
    assert "Permanent: 400 from the SMS service" in shown
    told = json.loads(run(journey.command, order.id, "--json").output)
    (leg,) = [leg for leg in told["events"][0]["deliveries"] if leg["handler"] == "sms"]
    assert (leg["state"], leg["attempts"]) == ("parked", 1)
    assert "MessageFailed" in {event["type"] for event in told["events"]}


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("abcdef", "There is no order “abcdef”.\n"),
        ("not-hex!", "There is no order “not-hex!”.\n"),
        ("%%%%%%", "There is no order “%%%%%%”.\n"),
        ("abc", "“abc” is too short: give an order's id, or its code of 6 characters.\n"),
    ],
)
def test_an_order_that_there_is_not_is_said_in_a_sentence(shop: Any, said: str, answer: str) -> None:
    for command in (run(journey.command, said), run(events.command, "--order", said)):
        assert (command.exit_code, command.output) == (1, answer)


def test_a_code_that_several_orders_share_is_not_guessed_at(shop: Any) -> None:
    for order in (shop.order(), shop.order()):
        shop.execute("UPDATE orders SET id = left(id, 8) || 'aaaaaa' || substr(id, 15) WHERE id = :id", id=order.id)
    result = run(journey.command, "AAAAAA")
    assert (result.exit_code, result.output) == (1, "More than one order has the code “AAAAAA”: give its whole id.\n")


def test_events_are_decoded_newest_last_with_exactly_the_public_keys(shop: Any) -> None:
    assert run(events.command).output == "No event is recorded yet.\n"
    order = shop.order()
    shop.drain()
    every = recorded()
    assert {frozenset(event) for event in every} == {frozenset(PUBLIC)}
    assert [event["position"] for event in every] == sorted(event["position"] for event in every)
    (placed,) = recorded("--type", "OrderPlaced")
    assert (placed["version"], placed["sequence"], placed["stream"]) == (2, 1, f"order-{order.id}")
    assert placed["data"]["customer_phone"] == "+15550100001"
    assert recorded("--limit", "1") == every[-1:]
    assert "OrderPlaced" in run(events.command, "--order", order.id).output


def test_the_personal_fields_of_an_erased_person_stay_empty(shop: Any) -> None:
    shop.order()
    shop.execute("DELETE FROM personal_keys")
    (placed,) = recorded("--type", "OrderPlaced")
    assert placed["data"]["customer_name"] is None


def test_an_event_that_this_code_cannot_read_is_shown_without_its_data(shop: Any) -> None:
    shop.order()
    shop.execute("ALTER TABLE events DISABLE TRIGGER USER")
    shop.execute("UPDATE events SET type = 'OrderTeleported'")
    (event,) = recorded()
    assert (event["type"], event["data"]) == ("OrderTeleported", None)
    assert "this code cannot read it" in run(events.command).output


def test_an_unknown_type_is_refused_in_a_sentence(shop: Any) -> None:
    result = run(events.command, "--type", "SendInvoice")
    assert result.exit_code == 2
    assert result.output == "No event is called SendInvoice: `pizzeria routes` lists them.\n"


def test_gateways_are_shown_switched_and_put_back(shop: Any) -> None:
    assert "sms     console            as configured" in run(gateway.command).output
    assert run(gateway.command, "oven", "faulty:margherita").output == "oven is faulty:margherita.\n"
    assert "switched; real is configured" in run(gateway.command).output
    assert run(gateway.command, "oven", "out").output == "oven is out.\n"
    assert run(gateway.command, "oven", "reset").output == "oven is real, as configured.\n"
    assert shop.value("SELECT count(*) FROM switches") == 0


@pytest.mark.parametrize(
    "words",
    [("fax", "faulty"), ("sms",), ("sms", "smtp"), ("oven", "faulty:hawaii"), ("oven", "faulty:"), ("email", "smtp")],
)
def test_a_mode_that_a_gateway_has_not_is_refused_in_a_sentence(shop: Any, words: tuple[str, ...]) -> None:
    result = run(gateway.command, *words)
    assert result.exit_code == 2
    assert len(result.output.splitlines()) == 1
    assert shop.value("SELECT count(*) FROM switches") == 0
