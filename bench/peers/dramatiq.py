"""Dramatiq with its Redis broker: commit, then `.send()` for whoever is to know; a group with a callback for the bakes.

With every advantage that such code usually has: no results, no retries, no Prometheus, no time limits and none of the
other middleware that takes time; two processes of four threads, which Dramatiq is made for, where the others have one
or two. The group's completion callback is its own join, counted in Redis.

What it lacks: whatever is committed and not yet sent is lost when a process dies, as is what Redis loses.
"""

# mypy: disable-error-code="untyped-decorator"

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AgeLimit, Callbacks, GroupCallbacks, Pipelines, ShutdownNotifications
from dramatiq.rate_limits.backends import RedisBackend

from bench import job
from bench.job import Order
from domain.settings import settings

broker = RedisBroker(
    url=settings().broker(),
    middleware=[
        AgeLimit(),
        ShutdownNotifications(),
        Callbacks(),
        Pipelines(),
        GroupCallbacks(RedisBackend(url=settings().broker())),
    ],
)
dramatiq.set_broker(broker)


def place(order: Order) -> None:
    """Save an order, then tell every actor."""
    with job.engine().begin() as connection:
        job.place(connection, order)
    kitchen.send(order)
    inventory.send(order)
    sms.send(order, "OrderPlaced")
    email.send(order)
    analytics.send(order)


@dramatiq.actor
def inventory(order: Order) -> None:
    job.run(job.reserve, order)
    kitchen_admit.send(order["id"])


@dramatiq.actor
def kitchen(order: Order) -> None:
    _fire(order["id"], job.run(job.open_ticket, order))


@dramatiq.actor
def kitchen_admit(order_id: str) -> None:
    _fire(order_id, job.run(job.admit_ticket, order_id))


def _fire(order_id: str, pizzas: int) -> None:
    """Bake an order's pizzas side by side, then plate them."""
    if pizzas:
        bakes = dramatiq.group([bake.message(order_id, number) for number in range(1, pizzas + 1)])
        bakes.add_completion_callback(plate.message(order_id))
        bakes.run()


@dramatiq.actor
def bake(order_id: str, number: int) -> None:
    job.run(job.bake, order_id, number)


@dramatiq.actor
def plate(order_id: str) -> None:
    ready = job.run(job.plate, order_id)
    delivery.send(ready)
    sms.send(ready, "OrderReady")
    analytics_ready.send(ready)


@dramatiq.actor
def delivery(ready: Order) -> None:
    at = job.run(job.deliver, ready["id"])
    sms.send(ready, "OrderOutForDelivery")
    sms.send(ready, "OrderDelivered")
    analytics_delivered.send(ready["id"], at)


@dramatiq.actor
def sms(order: Order, about: str) -> None:
    job.run(job.sms, order, about)


@dramatiq.actor
def email(order: Order) -> None:
    job.run(job.email, order)


@dramatiq.actor
def analytics(order: Order) -> None:
    job.run(job.figure_order, order)


@dramatiq.actor
def analytics_ready(ready: Order) -> None:
    job.run(job.figure_preparation, ready)


@dramatiq.actor
def analytics_delivered(order_id: str, delivered_at: str) -> None:
    job.run(job.figure_outcome, order_id, delivered_at)
