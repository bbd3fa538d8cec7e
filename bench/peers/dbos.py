"""DBOS: a durable workflow for each order, with a step for each transaction; the order and its start commit together.

With every advantage that such code usually has: the workflow is enqueued in the transaction that saves the order
(`enqueue_in_transaction`), its steps follow each other, since with many orders at once child workflows for the bakes
would only cost more, the ticket needs no join, since the workflow itself knows what is done, and the queue is looked
at ten times a second instead of once. Two processes, sixteen workflows at once in each; its system tables are in the
same PostgreSQL.

What it lacks: nothing is lost here, but a step that commits and is not yet noted as done is repeated after a crash.
"""

# mypy: disable-error-code="untyped-decorator"

import signal
import sys
from functools import cache
from typing import Any

from dbos import DBOS, DBOSClient

from bench import job
from bench.job import Order
from domain.settings import settings

QUEUE = "orders"
AT_ONCE = 16
POLL_SECONDS = 0.1
VERSION = "bench"


def place(order: Order) -> None:
    """Save an order and enqueue its workflow, in one transaction."""
    with job.engine().begin() as connection:
        job.place(connection, order)
        options = {"queue_name": QUEUE, "workflow_name": "bench_order", "app_version": VERSION}
        _client().enqueue_in_transaction(connection, options, order)


@cache
def _client() -> Any:
    launch("place")  # makes the system tables
    DBOS.register_queue(QUEUE, worker_concurrency=AT_ONCE, polling_interval_sec=POLL_SECONDS)
    DBOS.destroy()
    return DBOSClient(system_database_url=settings().database(), application_name="bench")


def launch(executor: str) -> None:
    """Make this process a part of the application."""
    DBOS(
        config={
            "name": "bench",
            "system_database_url": settings().database(),
            "application_version": VERSION,
            "executor_id": executor,
            "log_level": "WARNING",
            "sys_db_pool_size": 2 * AT_ONCE,
        }
    )
    DBOS.launch()


@DBOS.step()
def step(name: str, *args: Any, **kwargs: Any) -> Any:
    return job.run(getattr(job, name), *args, **kwargs)


@DBOS.workflow(name="bench_order")
def work(order: Order) -> None:
    """Take an order from the counter to the door."""
    step("reserve", order)
    pizzas = step("open_ticket", order, reserved=True)
    step("sms", order, "OrderPlaced")
    step("email", order)
    step("figure_order", order)
    for number in range(1, pizzas + 1):
        step("bake", order["id"], number)
    ready = step("plate", order["id"])
    step("sms", ready, "OrderReady")
    step("figure_preparation", ready)
    at = step("deliver", order["id"])
    step("sms", ready, "OrderOutForDelivery")
    step("sms", ready, "OrderDelivered")
    step("figure_outcome", order["id"], at)


if __name__ == "__main__":
    launch(sys.argv[1])
    signal.pause()
