"""No queue at all: one process does an order's steps one after the other, with a commit for each.

The least that can be done for the same rows with the same commits: no message is encoded, sent, stored or read. The
process knows its orders by heart: they are in a file, so that not even they are read from the database.

What it lacks: an order waits for the one before it, a step that fails stops everything, whoever stops in the middle of
an order never ends it, and there is only one.
"""

import json
import signal

from bench import job
from bench.job import Order
from domain.settings import settings

BACKLOG = settings().home / "backlog.jsonl"


def place(order: Order) -> None:
    """Save an order, and note it for the process."""
    with job.engine().begin() as connection:
        job.place(connection, order)
    with BACKLOG.open("a") as backlog:
        backlog.write(json.dumps(order) + "\n")


def work(order: Order) -> None:
    """Take an order from the counter to the door."""
    job.run(job.reserve, order)
    pizzas = job.run(job.open_ticket, order, reserved=True)
    job.run(job.sms, order, "OrderPlaced")
    job.run(job.email, order)
    job.run(job.figure_order, order)
    for number in range(1, pizzas + 1):
        job.run(job.bake, order["id"], number)
    ready = job.run(job.plate, order["id"])
    job.run(job.sms, ready, "OrderReady")
    job.run(job.figure_preparation, ready)
    at = job.run(job.deliver, order["id"])
    job.run(job.sms, ready, "OrderOutForDelivery")
    job.run(job.sms, ready, "OrderDelivered")
    job.run(job.figure_outcome, order["id"], at)


if __name__ == "__main__":
    for line in BACKLOG.read_text().splitlines():
        work(json.loads(line))
    signal.pause()  # a program that ended would be started again
