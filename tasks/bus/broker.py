"""The Celery side of the bus: tasks that run handlers, and the broker that carries their messages."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeGuard

import structlog
from celery import Celery, Task
from celery.exceptions import Reject
from kombu import Producer, Queue
from kombu.exceptions import OperationalError
from kombu.transport import redis

from tasks.bus import queues, rabbitmq
from tasks.bus.inside import InsideRunner
from tasks.bus.outside import OutsideRunner
from tasks.bus.registry import Handler
from tasks.bus.relay import Message
from tasks.bus.runner import DatabaseAwayError

_BATCH = 300
_LONGEST = 1000
logger = structlog.get_logger(__name__)


class CeleryBroker:
    """Sends messages as Celery tasks, each on the queue that bears its handler's name."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._url: str = app.conf.broker_url
        self._connection: Any = None

    def publish(self, messages: Sequence[Message]) -> None:
        """Send messages in as few round trips as the broker allows."""
        with self.producer() as producer:
            for message in messages:
                self._app.send_task(  # by name: a handler that came after this process started has its queue too
                    message.handler,
                    (list(message.positions),),
                    producer=producer,
                    queue=self._queue(message.handler),
                    argsrepr=describe(message.positions),
                    ignore_result=True,
                )

    @contextmanager
    def producer(self) -> Iterator[Producer]:
        """Give a producer whose messages the broker has when the block ends; raises where that is not certain."""
        with self._app.producer_pool.acquire(block=True, timeout=5) as producer, producer.batch(_BATCH):
            yield producer

    def depths(self, handlers: Iterable[str]) -> Mapping[str, int]:
        """Ask the broker how many messages wait. Raises OperationalError, or QueueMadeOtherwiseError."""
        try:
            if self._connection is None:
                self._connection = self._app.connection_for_write()
                self._connection.ensure_connection(max_retries=1, timeout=3)
            return self._lengths(self._connection.default_channel, list(handlers))
        except Exception as error:
            self.close()
            if isinstance(error, queues.QueueMadeOtherwiseError):
                raise
            raise OperationalError(type(error).__name__) from error

    def close(self) -> None:
        """End the connection that is asked by; the next look makes another."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.release()

    def _lengths(self, channel: Any, names: Sequence[str]) -> Mapping[str, int]:
        if isinstance(channel, redis.Channel):  # all in one round trip, since the relay asks twenty times a second
            with channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.llen(name)
                return dict(zip(names, pipe.execute(), strict=True))
        if queues.is_rabbitmq(self._url):
            found = rabbitmq.declare(channel, [queues.dead(), *map(self._queue, names)])
            return {name: found[name] for name in names}
        return {name: self._queue(name)(channel).queue_declare().message_count for name in names}

    def _queue(self, name: str) -> Queue:
        return queues.queue(name, self._url)


def describe(positions: Sequence[int]) -> str:
    """Say what a message holds, for people who look at it."""
    if len(positions) == 1:
        return f"event {positions[0]}"
    return f"{len(positions)} events, {min(positions)} to {max(positions)}"


def are_positions(value: object) -> TypeGuard[list[int]]:
    """Tell whether a message's argument is what the relay sends; anyone may have put a message into the broker."""
    return (
        isinstance(value, list)
        and 0 < len(value) <= _LONGEST
        and all(type(item) is int and 0 < item < 2**63 for item in value)
    )


def deliver(task: Task[Any, Any], handler: Handler, runner: InsideRunner | OutsideRunner, positions: object) -> None:
    """Run a handler for a message; the body of every handler's task.

    A message that no relay sent is refused. While the database is away the message waits here, then goes back.
    """
    if not are_positions(positions):
        logger.error("message_refused", handler=handler.name)
        return
    again = bool((task.request.delivery_info or {}).get("redelivered"))
    try:
        countdown = runner.run(handler, positions, started_before=again)
    except DatabaseAwayError as error:
        raise Reject("the database is away", requeue=True) from error
    if countdown is not None:
        raise task.retry(countdown=countdown, argsrepr=describe(positions))
