"""Procrastinate: a job for each step in PostgreSQL itself, deferred in the transaction of the step before.

With every advantage that such code usually has: a step's effects and the jobs that follow commit together, which saves
a second commit, LISTEN wakes the workers, finished jobs are deleted at once, there are no retries, and two processes
have eight jobs at once each, in threads as its worker runs plain functions. It has no group: whichever bake finds that
it is the last defers the plating.

What it lacks: nothing is lost here, but every job costs its own fetch, its own end and their commits.
"""

# mypy: disable-error-code="untyped-decorator"

from functools import cache
from typing import Any

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from sqlalchemy import Connection

from bench import job
from bench.job import Order
from domain.settings import settings

AT_ONCE = 8

app = App(
    connector=PsycopgConnector(conninfo=settings().database(), min_size=2, max_size=AT_ONCE),
    worker_defaults={"concurrency": AT_ONCE, "delete_jobs": "successful"},
)
_sender = App(connector=SyncPsycopgConnector())


def defer(connection: Connection, task: Any, **kwargs: Any) -> None:
    """Have a task done once this transaction commits."""
    raw = connection.connection.driver_connection
    _sender.configure_task(task.name, connection=raw).defer(**kwargs)


def place(order: Order) -> None:
    """Save an order and defer a task for whoever is to know, in one transaction."""
    _make_tables()
    with job.engine().begin() as connection:
        job.place(connection, order)
        defer(connection, kitchen, order=order)
        defer(connection, inventory, order=order)
        defer(connection, sms, order=order, about="OrderPlaced")
        defer(connection, email, order=order)
        defer(connection, analytics, order=order)


@cache
def _make_tables() -> None:
    with App(connector=SyncPsycopgConnector(conninfo=settings().database())).open() as once:
        once.schema_manager.apply_schema()


def _reserve(connection: Connection, order: Order) -> None:
    job.reserve(connection, order)
    defer(connection, kitchen_admit, order_id=order["id"])


def _open_ticket(connection: Connection, order: Order) -> None:
    _fire(connection, order["id"], job.open_ticket(connection, order))


def _admit_ticket(connection: Connection, order_id: str) -> None:
    _fire(connection, order_id, job.admit_ticket(connection, order_id))


def _fire(connection: Connection, order_id: str, pizzas: int) -> None:
    for number in range(1, pizzas + 1):
        defer(connection, bake, order_id=order_id, number=number)


def _bake(connection: Connection, order_id: str, number: int) -> None:
    if job.bake_and_look(connection, order_id, number):
        defer(connection, plate, order_id=order_id)


def _plate(connection: Connection, order_id: str) -> None:
    ready = job.plate(connection, order_id)
    defer(connection, delivery, ready=ready)
    defer(connection, sms, order=ready, about="OrderReady")
    defer(connection, analytics_ready, ready=ready)


def _deliver(connection: Connection, ready: Order) -> None:
    at = job.deliver(connection, ready["id"])
    defer(connection, sms, order=ready, about="OrderOutForDelivery")
    defer(connection, sms, order=ready, about="OrderDelivered")
    defer(connection, analytics_delivered, order_id=ready["id"], delivered_at=at)


@app.task(name="inventory")
def inventory(order: Order) -> None:
    job.run(_reserve, order)


@app.task(name="kitchen")
def kitchen(order: Order) -> None:
    job.run(_open_ticket, order)


@app.task(name="kitchen_admit")
def kitchen_admit(order_id: str) -> None:
    job.run(_admit_ticket, order_id)


@app.task(name="bake")
def bake(order_id: str, number: int) -> None:
    job.run(_bake, order_id, number)


@app.task(name="plate")
def plate(order_id: str) -> None:
    job.run(_plate, order_id)


@app.task(name="delivery")
def delivery(ready: Order) -> None:
    job.run(_deliver, ready)


@app.task(name="sms")
def sms(order: Order, about: str) -> None:
    job.run(job.sms, order, about)


@app.task(name="email")
def email(order: Order) -> None:
    job.run(job.email, order)


@app.task(name="analytics")
def analytics(order: Order) -> None:
    job.run(job.figure_order, order)


@app.task(name="analytics_ready")
def analytics_ready(ready: Order) -> None:
    job.run(job.figure_preparation, ready)


@app.task(name="analytics_delivered")
def analytics_delivered(order_id: str, delivered_at: str) -> None:
    job.run(job.figure_outcome, order_id, delivered_at)


if __name__ == "__main__":
    app.run_worker()
