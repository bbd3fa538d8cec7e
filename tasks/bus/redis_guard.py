"""Keeps Celery 5.7.0 workers alive when Redis dies with a message unacknowledged.

``kombu.transport.redis.Channel._connparams`` reads ``self.connection.client`` of a channel that is already closed: its
``connection`` is None, or is closed itself and has no ``client`` any more. The AttributeError it raises is none that
the worker's reconnect loop knows, so the worker ends. Raising the ConnectionError that a closed connection is lets the
worker reconnect as it does for any other.
"""

from typing import Any

from kombu.transport.redis import Channel
from redis.exceptions import ConnectionError as RedisConnectionError


def install() -> None:
    """Make a closed channel say that its connection is lost. Once for each process."""
    channel: Any = Channel
    original = channel._connparams
    if getattr(original, "__guards__", False):
        return

    def guarded(self: Channel, *args: Any, **kwargs: Any) -> Any:
        if getattr(self.connection, "client", None) is None:
            raise RedisConnectionError("The channel's connection is closed.")
        return original(self, *args, **kwargs)

    guarded.__dict__["__guards__"] = True
    channel._connparams = guarded
