"""Puts orders into a database as code of an older version left them there."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import psycopg

from domain.events import OrderPlaced, catalogue
from domain.kernel import contract

Data = dict[str, Any]

SAMPLES = contract.read(Path(__file__).with_name("samples"))

_ORDER = """
INSERT INTO orders (id, customer_id, status, fulfilment, payment, name, phone, email, address, items, subtotal, tax,
    total, currency, placed_at, estimated_ready_time, estimated_delivery_time)
VALUES (%s, %s, 'placed', %s, %s, %s, %s, %s, %s, %s, %s, 0, %s, %s, %s, %s, %s)
"""
_EVENT = """
WITH recorded AS (
    INSERT INTO events (id, type, version, stream, sequence, data, correlation_id)
    VALUES (gen_random_uuid(), 'OrderPlaced', %s, %s, 1, %s, %s) RETURNING position
) INSERT INTO outbox SELECT position FROM recorded
"""


def without_later_fields(present: Any, stored: Any) -> Any:
    """Give what is read now, without the fields that were added since it was stored and say nothing of it."""
    if isinstance(present, dict) and isinstance(stored, dict):
        return {
            field: without_later_fields(value, stored.get(field))
            for field, value in present.items()
            if field in stored or value is not None
        }
    if isinstance(present, list) and isinstance(stored, list) and len(present) == len(stored):
        return [without_later_fields(*pair) for pair in zip(present, stored, strict=True)]
    return present


def sample(version: int, **changes: Any) -> Data:
    """Give the data of the stored OrderPlaced of a version, for an order of its own."""
    return {**SAMPLES["OrderPlaced", version], "order_id": uuid4().hex, **changes}


def as_version_2(data: Data) -> Data:
    """Give the data of a first version as the second one would have stored it: what was always so is now said."""
    estimate = data["estimated_delivery_time"]
    said = {"currency": "USD", "fulfilment": "delivery", "payment": "cash", "returning_customer": False}
    return {**data, **said, "estimated_ready_time": estimate, "placed_at": estimate}


def store(url: str, version: int, placed: Sequence[Data]) -> list[str]:
    """Save orders whose OrderPlaced is of this version and waits in the outbox; gives their ids."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for data in placed:
            order = catalogue.decode("OrderPlaced", version, msgspec.json.encode(data))
            assert isinstance(order, OrderPlaced)
            cursor.execute(
                "INSERT INTO customers (id, phone, name, created_at) VALUES (%s, %s, 'Ada', now())"
                " ON CONFLICT DO NOTHING",
                (order.customer_id, order.customer_phone),
            )
            cursor.execute(_ORDER, _row(order))
            cursor.execute(_EVENT, (version, order.stream_name, json.dumps(data), f"old-{order.order_id}"))
    return [data["order_id"] for data in placed]


def _row(order: OrderPlaced) -> tuple[object, ...]:
    return (
        order.order_id,
        order.customer_id,
        order.fulfilment,
        order.payment,
        order.customer_name or "Ada",
        order.customer_phone,
        order.customer_email,
        order.delivery_address,
        msgspec.json.encode(order.items).decode(),
        order.total_amount,
        order.total_amount,
        order.currency,
        order.placed_at,
        order.estimated_ready_time,
        order.estimated_delivery_time,
    )
