"""Events that older or newer code stored have the same effects as those of today."""

import re
from typing import Any

import pytest

from domain.orders import code_of
from tests.contract.stored import Data, as_version_2, sample, store
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration

EFFECTS = {
    "tickets": "state, stock_reserved, priority, placed_at, preparation_seconds",
    "ticket_pizzas": "number, pizza, size, toppings, state, burns",
    "reservations": "state, ingredients",
    "stock_movements": "ingredient_id, reason, quantity",
    "tours": "state, fulfilment",
    "messages": "channel, about, recipient, subject, body, state, attempts",
    "order_metrics": "customer_id, order_value, item_count, order_time, customer_type, fulfilment, promised_at",
    "sales_lines": "line, order_time, pizza, name, size, quantity, revenue",
    "order_outcomes": "outcome, reason",
}


def effects(shop: Shop, order_id: str) -> dict[str, list[str]]:
    """Give everything that handlers did for an order, without what tells it from another."""
    found = {
        table: shop.rows(f"SELECT {columns} FROM {table} WHERE order_id = :id ORDER BY 1, 2", id=order_id)
        for table, columns in EFFECTS.items()
    }
    found["events"] = shop.rows(
        "SELECT type, version FROM events WHERE data->>'order_id' = :id AND type <> 'OrderPlaced' ORDER BY position",
        id=order_id,
    )
    return {table: [anonymous(row, order_id) for row in rows] for table, rows in found.items()}


def anonymous(row: Any, order_id: str) -> str:
    return re.sub("with [A-Z]\\w+", "with a driver", str(tuple(row)).replace(code_of(order_id), "CODE"))


def handled(shop: Shop, *stored: tuple[int, Data]) -> list[dict[str, list[str]]]:
    """Store these versions of OrderPlaced, let every handler have them, and give the effects of each."""
    ids = [order_id for version, data in stored for order_id in store(shop.url, version, [data])]
    shop.drain()
    assert shop.value("SELECT count(*) FROM deliveries WHERE state <> 'done' AND handler <> 'oven'") == 0
    assert [shop.value("SELECT status FROM orders WHERE id = :id", id=i) for i in ids] == ["delivered"] * len(ids)
    return [effects(shop, order_id) for order_id in ids]


def test_a_stored_first_version_has_the_same_effects_as_a_second(shop: Shop) -> None:
    old, new = sample(1), as_version_2(sample(1))
    first, second = handled(shop, (1, old), (2, new))
    assert first == second
    assert all(first[table] for table in EFFECTS), "every handler did something"


def test_a_stored_event_without_its_optional_fields_is_handled_as_if_they_were_empty(shop: Shop) -> None:
    whole = sample(2, customer_name=None, customer_email=None, returning_customer=False)
    whole["items"] = [{**item, "toppings": [], "note": None} for item in whole["items"]]
    older = {name: value for name, value in whole.items() if name not in {"customer_email", "returning_customer"}}
    older["items"] = [
        {name: value for name, value in item.items() if name not in {"toppings", "note"}} for item in whole["items"]
    ]
    older["order_id"] = sample(2)["order_id"]
    with_them, without = handled(shop, (2, whole), (2, older))
    assert without == with_them


def test_a_stored_event_with_fields_that_this_code_does_not_know_is_handled_without_them(shop: Shop) -> None:
    newer = sample(2, colour="red", loyalty={"points": 3})
    newer["items"] = [{**item, "crust": "thin"} for item in newer["items"]]
    known, unknown = handled(shop, (2, sample(2)), (2, newer))
    assert unknown == known
