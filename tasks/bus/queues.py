"""What a queue is on each kind of broker; whoever sends, works or looks asks here."""

from kombu import Queue

from tasks.bus.deliveries import MAX_STARTS

DEAD = "dead"
"""The queue of what RabbitMQ gave up or a worker refused. Each was only a doorbell: nobody has to read them."""
DELIVERY_LIMIT = 2 * MAX_STARTS
"""Times that RabbitMQ hands a message out again. Poison is parked before that; this is the net behind it."""
_KEPT = 1000

_QUORUM = {"x-queue-type": "quorum"}
# Both on the default exchange: a binding is one thing more that could be lost.
_HANDLERS = _QUORUM | {
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": DEAD,
}
_DEAD = _QUORUM | {"x-max-length": _KEPT}


class QueueMadeOtherwiseError(Exception):
    """A queue is there already, made by somebody else or by another release; the message says what to do."""


def is_rabbitmq(broker: str) -> bool:
    """Tell whether this is the URL of a RabbitMQ."""
    return broker.startswith(("amqp://", "amqps://"))


def holds_countdowns(broker: str) -> bool:
    """Tell whether a message may wait with a countdown: where there are quorum queues, it would block its worker."""
    return broker.startswith("redis")


def queue(name: str, broker: str) -> Queue:
    """Give a handler's queue on this broker."""
    return Queue(name, routing_key=name, queue_arguments=_HANDLERS if is_rabbitmq(broker) else None)


def dead() -> Queue:
    """Give RabbitMQ's queue of dead letters, the last thousand of them."""
    return Queue(DEAD, routing_key=DEAD, queue_arguments=_DEAD)
