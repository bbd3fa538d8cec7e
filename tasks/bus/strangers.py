"""Refuses messages that no relay sent, where Celery 5.7.0 would end the worker, and log their bodies.

Anyone who reaches the broker can put anything into a queue. Celery refuses what it foresees, with the whole body in its
log; any other error while a message is read leaves the worker's loop as "unrecoverable", the message goes back to the
queue, and kills the worker again as soon as that has started anew.
"""

from collections.abc import Callable
from typing import Any

import structlog
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.transport.redis import Channel, Empty

_UNREADABLE = (LookupError, RecursionError, TypeError, ValueError)

logger = structlog.get_logger(__name__)


class Consumer(CeleryConsumer):  # type: ignore[misc]
    """A worker's consumer that outlives every message."""

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Give the function that takes each message."""
        take = super().create_task_handler(*args, **kwargs)

        def take_or_refuse(message: Any) -> None:
            try:
                take(message)
            except (*self.connection_errors, *self.connection.channel_errors):
                raise
            except Exception as error:
                self._refuse(message, error)

        return take_or_refuse

    def on_unknown_message(self, body: object, message: Any) -> None:
        """Refuse what is no task's message."""
        self._refuse(message, None)

    def on_unknown_task(self, body: object, message: Any, exc: Exception) -> None:
        """Refuse a message for a task that there is not."""
        self._refuse(message, exc)

    def on_invalid_task(self, body: object, message: Any, exc: Exception) -> None:
        """Refuse a message whose headers make no sense, or whose body is in no form that we accept."""
        self._refuse(message, exc)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Refuse what cannot be read."""
        self._refuse(message, exc)

    def _refuse(self, message: Any, error: Exception | None) -> None:
        queue = (message.delivery_info or {}).get("routing_key")
        logger.error("message_refused", handler=str(queue)[:80], error=type(error).__name__ if error else None)
        if not message.acknowledged:
            message.reject_log_error(logger, self.connection_errors)


def install() -> None:
    """Have what cannot even be taken for a message dropped as it comes from Redis. Once for each process."""
    channel: Any = Channel
    original = channel._brpop_read
    if getattr(original, "__refuses__", False):
        return

    def read(self: Channel, **options: Any) -> Any:
        try:
            return original(self, **options)
        except _UNREADABLE as error:  # it is off the queue already
            logger.error("message_refused", error=type(error).__name__)
            raise Empty from error

    read.__dict__["__refuses__"] = True
    channel._brpop_read = read
