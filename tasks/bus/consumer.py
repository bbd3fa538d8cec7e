"""The consumer of our workers, and what it leaves out of Celery's."""

from celery.worker.consumer import Consumer as CeleryConsumer

from tasks.bus import strangers

CONSUMER = f"{__name__}:Consumer"
"""The value of Celery's setting ``worker_consumer``."""

_DELAYED_DELIVERY = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class Consumer(strangers.Consumer):
    """Outlives every message, and makes no queues for countdowns on RabbitMQ.

    There Celery would have each worker declare 28 queues and 29 exchanges, which serve topic exchanges alone. Ours is
    the default one, and what is to wait, waits in the ledger.
    """

    class Blueprint(CeleryConsumer.Blueprint):  # type: ignore[misc]
        """Celery's steps but that one."""

        default_steps = tuple(step for step in CeleryConsumer.Blueprint.default_steps if step != _DELAYED_DELIVERY)
