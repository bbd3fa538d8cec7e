"""The consumer of our workers, and where it differs from Celery's."""

import time
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

from tasks.bus import strangers

CONSUMER = f"{__name__}:Consumer"
"""The value of Celery's setting ``worker_consumer``."""

EVENTS_EVERY = 0.1
"""Seconds for which what Flower is told is gathered."""

_DELAYED_DELIVERY = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class Consumer(strangers.Consumer):
    """Outlives every message, makes no queues for countdowns on RabbitMQ, and tells Flower several things at once.

    There Celery would have each worker declare 28 queues and 29 exchanges, which serve topic exchanges alone. Ours is
    the default one, and what is to wait, waits in the ledger. And it would publish the events of every turn of its loop
    by themselves, which took a quarter of a busy worker's main process.
    """

    _flush_at = 0.0

    class Blueprint(CeleryConsumer.Blueprint):  # type: ignore[misc]
        """Celery's steps but that one."""

        default_steps = tuple(step for step in CeleryConsumer.Blueprint.default_steps if step != _DELAYED_DELIVERY)

    def on_send_event_buffered(self) -> None:
        """Have what gathers from now on sent together."""
        now = time.monotonic()
        if self.hub and now >= self._flush_at:
            self._flush_at = now + EVENTS_EVERY
            self.hub.call_later(EVENTS_EVERY, self._flush_events)

    def stop(self, *args: Any, **kwargs: Any) -> Any:
        """Stop, with everything told."""
        self._flush_events()
        return super().stop(*args, **kwargs)
