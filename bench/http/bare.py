"""The least that takes an order over HTTP: Flask, SQLAlchemy, one insert, one commit.

Nothing is validated, priced, escaped, limited or logged, no customer is known, no event recorded. The table is that of
the orders with all its columns and indexes, but without its reference to customers, which would cost a lock.
"""

import json
import secrets
from datetime import UTC, datetime
from typing import Any

from flask import Flask, request
from sqlalchemy import create_engine, make_url, text

from domain.settings import settings

engine = create_engine(make_url(settings().database()).set(drivername="postgresql+psycopg"), pool_size=10)
app = Flask(__name__)

_INSERT = text("""
INSERT INTO bench_orders (id, customer_id, status, fulfilment, payment, name, phone, email, address, items,
    subtotal, tax, total, currency, placed_at, estimated_ready_time, estimated_delivery_time)
VALUES (:id, :id, 'placed', :fulfilment, :payment, :name, :phone, :email, :address, CAST(:items AS jsonb),
    20, 0, 20, 'USD', :now, :now, :now)
""")


def order_of(body: dict[str, Any]) -> dict[str, Any]:
    """Make an order of what was sent, just as it is."""
    order_id = secrets.token_hex(16)
    order = {**body["customer"], "fulfilment": body["fulfilment"], "payment": body["payment"]}
    return order | {"id": order_id, "customer_id": order_id, "address": body["address"], "total": "20.00"}


def insert(body: dict[str, Any]) -> dict[str, Any]:
    """Save an order; gives it with its id, as messages would carry it."""
    order, now = order_of(body), datetime.now(UTC)
    with engine.begin() as connection:
        connection.execute(_INSERT, order | {"items": json.dumps(body["items"]), "now": now})
    return order | {"items": body["items"], "placed_at": now.isoformat()}


@app.post("/api/orders")
def place() -> tuple[dict[str, Any], int]:
    """Take an order."""
    order = insert(request.get_json())
    return {"id": order["id"]}, 201
