"""Live hints: who watches a stream hears at once that something was added to it. Losing one costs two seconds."""

import json
from collections.abc import Iterator, Sequence

import redis
import structlog

CHANNEL = "pizzeria.live"

logger = structlog.get_logger(__name__)

Hint = tuple[str, int]
"""A stream and the sequence number it has reached."""


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=3, health_check_interval=10)


class Announcer:
    """Sends hints. A Redis that is away is no reason to stop."""

    def __init__(self, url: str) -> None:
        self._client = _client(url)

    def announce(self, hints: Sequence[Hint]) -> None:
        """Tell everybody who listens."""
        try:
            self._client.publish(CHANNEL, json.dumps(hints))
        except redis.RedisError as error:
            logger.debug("hints_not_sent", error=type(error).__name__)


def listen(url: str) -> Iterator[list[Hint]]:
    """Give hints as they come, and an empty list at least every second; raises redis.RedisError when Redis is away."""
    with _client(url) as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(CHANNEL)
        while True:
            message = subscription.get_message(timeout=1)
            yield [(stream, sequence) for stream, sequence in json.loads(message["data"])] if message else []
