"""What can be done to messages: each comes three times and in any order, or comes again long after it was done."""

import json
import random
from collections.abc import Sequence
from uuid import uuid4

import redis
from celery import Celery
from kombu import Queue

_COPIES = 3
_IN_ONE = 100


def multiply(broker: "redis.Redis", queue: str) -> int:
    """Take what waits in a queue and put each message back three times, shuffled; gives how many were taken."""
    with broker.pipeline(transaction=True) as pipe:
        pipe.lrange(queue, 0, -1)
        pipe.delete(queue)
        waiting: list[bytes] = pipe.execute()[0]
    copies = [_copy(message) for message in waiting for _ in range(_COPIES)]
    random.shuffle(copies)
    if copies:
        broker.lpush(queue, *copies)
    return len(waiting)


def _copy(message: bytes) -> str:
    """Copy a message under a delivery tag of its own, as a broker would."""
    copied = json.loads(message)
    copied["properties"]["delivery_tag"] = str(uuid4())
    return json.dumps(copied)


def send(broker_url: str, handler: str, positions: Sequence[int]) -> None:
    """Send messages such as the relay's about these positions, for one handler."""
    with Celery(broker=broker_url, set_as_current=False) as celery:
        for start in range(0, len(positions), _IN_ONE):
            celery.send_task(
                handler,
                (list(positions[start : start + _IN_ONE]),),
                queue=Queue(handler, routing_key=handler),
                ignore_result=True,
            )
