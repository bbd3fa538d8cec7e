"""Celery as one writes it by hand: commit, then `.delay()` for whoever is to know; a chord for each order.

With every advantage that such code usually has: acknowledged early, results ignored but for the chord's headers,
prefetch 1, no task events, and Celery's defaults else. The workers run without gossip and mingle.

What it lacks is what this costs: whatever is committed and not yet sent, or sent and not yet acknowledged, is lost
when a process or the broker dies, and a task that runs twice sends its messages twice.
"""

# mypy: disable-error-code="untyped-decorator"

from celery import Celery, chord

from bench import job
from bench.job import Order
from domain.settings import settings

app = Celery("by-hand", broker=settings().broker(), backend=settings().results())
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


def place(order: Order) -> None:
    """Save an order, then tell every handler."""
    with job.engine().begin() as connection:
        job.place(connection, order)
    tell(order)


def tell(order: Order) -> None:
    """Tell every handler of a new order."""
    kitchen.delay(order)
    inventory.delay(order)
    sms.delay(order, "OrderPlaced")
    email.delay(order)
    analytics.delay(order)


@app.task
def inventory(order: Order) -> None:
    job.run(job.reserve, order)
    kitchen_admit.delay(order["id"])


@app.task
def kitchen(order: Order) -> None:
    _fire(order["id"], job.run(job.open_ticket, order))


@app.task
def kitchen_admit(order_id: str) -> None:
    _fire(order_id, job.run(job.admit_ticket, order_id))


def _fire(order_id: str, pizzas: int) -> None:
    """Bake an order's pizzas side by side, then plate them."""
    if pizzas:
        chord([bake.s(order_id, number) for number in range(1, pizzas + 1)])(plate.si(order_id))


@app.task(ignore_result=False)
def bake(order_id: str, number: int) -> str:
    job.run(job.bake, order_id, number)
    return "baked"


@app.task
def plate(order_id: str) -> None:
    ready = job.run(job.plate, order_id)
    delivery.delay(ready)
    sms.delay(ready, "OrderReady")
    analytics_ready.delay(ready)


@app.task
def delivery(ready: Order) -> None:
    at = job.run(job.deliver, ready["id"])
    sms.delay(ready, "OrderOutForDelivery")
    sms.delay(ready, "OrderDelivered")
    analytics_delivered.delay(ready["id"], at)


@app.task
def sms(order: Order, about: str) -> None:
    job.run(job.sms, order, about)


@app.task
def email(order: Order) -> None:
    job.run(job.email, order)


@app.task
def analytics(order: Order) -> None:
    job.run(job.figure_order, order)


@app.task
def analytics_ready(ready: Order) -> None:
    job.run(job.figure_preparation, ready)


@app.task
def analytics_delivered(order_id: str, delivered_at: str) -> None:
    job.run(job.figure_outcome, order_id, delivered_at)
