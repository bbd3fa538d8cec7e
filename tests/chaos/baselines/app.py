"""The shop as one writes it by hand: commit, then `.delay()` for whoever is to know, and a chord for the oven.

With ``BASELINE=early`` it has Celery's defaults, so a message is acknowledged before its task runs; with
``BASELINE=late``, task_acks_late and task_reject_on_worker_lost.
"""

# mypy: disable-error-code="untyped-decorator"

import os
import time
from functools import cache
from typing import Any
from uuid import uuid4

from celery import Celery, chord
from flask import Flask, Response, abort, jsonify, request
from sqlalchemy import Engine, create_engine, make_url, text

_WORK = 0.01
_BAKE = 0.1

app = Celery("baseline", broker=os.environ["PIZZERIA_BROKER_URL"], backend=os.environ["PIZZERIA_BROKER_URL"])
late = os.environ["BASELINE"] == "late"
app.conf.update(
    task_acks_late=late,
    task_reject_on_worker_lost=late,
    task_default_queue="worker",
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
)
web = Flask(__name__)


@cache
def engine() -> Engine:
    """Give this process's database."""
    url = make_url(os.environ["PIZZERIA_DATABASE_URL"]).set(drivername="postgresql+psycopg")
    return create_engine(url, pool_pre_ping=True)


def run(sql: str, **values: Any) -> Any:
    """Run one statement in a transaction of its own; gives its first row, if it has any."""
    with engine().begin() as connection:
        result = connection.execute(text(sql), values)
        return result.first() if result.returns_rows else result.rowcount


def do(order_id: str, what: str, seconds: float = _WORK) -> None:
    """Do something for an order that takes a moment, and write down that it is done."""
    time.sleep(seconds)
    run("INSERT INTO effects VALUES (:id, :what)", id=order_id, what=what)


@web.get("/readyz")
def ready() -> str:
    return "ready"


@web.get("/api/menu")
def menu() -> Response:
    return jsonify({"pizzas": [{"id": "margherita", "prices": {"medium": 9}, "sold_out": False}], "toppings": []})


@web.post("/api/orders")
def place() -> tuple[Response, int]:
    key = request.headers["Idempotency-Key"]
    new = run(
        "INSERT INTO orders (id, key) VALUES (:id, :key) ON CONFLICT DO NOTHING RETURNING id", id=uuid4().hex, key=key
    )
    if new:
        for tell in (kitchen, inventory, sms, email, analytics):
            tell.delay(new.id)
    return jsonify({"id": (new or run("SELECT id FROM orders WHERE key = :key", key=key)).id}), 201


@web.get("/api/orders/<order_id>")
def show(order_id: str) -> Response:
    order = run("SELECT id, status FROM orders WHERE id = :id", id=order_id) or abort(404)
    return jsonify({"id": order.id, "status": order.status})


@web.post("/api/orders/<order_id>/cancel")
def cancel(order_id: str) -> tuple[Response, int]:
    sql = "UPDATE orders SET status = 'cancelled', finished_at = now() WHERE id = :id AND status = 'placed'"
    return jsonify({}), 200 if run(sql, id=order_id) else 409


@app.task
def kitchen(order_id: str) -> None:
    if run("UPDATE orders SET status = 'cooking' WHERE id = :id AND status = 'placed'", id=order_id):
        chord([bake.s(order_id), bake.s(order_id)])(plate.si(order_id))


@app.task
def bake(order_id: str) -> str:
    time.sleep(_BAKE)
    return order_id


@app.task
def plate(order_id: str) -> None:
    do(order_id, "baked")
    run("UPDATE orders SET status = 'ready' WHERE id = :id", id=order_id)
    delivery.delay(order_id)


@app.task
def delivery(order_id: str) -> None:
    do(order_id, "delivery")
    run("UPDATE orders SET status = 'delivered', finished_at = now() WHERE id = :id", id=order_id)


@app.task
def inventory(order_id: str) -> None:
    do(order_id, "inventory")


@app.task
def sms(order_id: str) -> None:
    do(order_id, "sms")


@app.task
def email(order_id: str) -> None:
    do(order_id, "email")


@app.task
def analytics(order_id: str) -> None:
    do(order_id, "analytics")
