"""What kombu's transport for RabbitMQ lacks: publishes that are confirmed together, and depths in one round trip.

A quorum queue confirms a message once it is on disk, so waiting for each one by itself would cost a write to the disk
for every message. As a transport of kombu's it is Celery's setting ``broker_transport``.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from amqp import spec
from amqp.exceptions import MessageNacked, PreconditionFailed
from kombu.transport import pyamqp

from tasks.bus.queues import QueueMadeOtherwiseError

TRANSPORT = f"{__name__}:Transport"
PATIENCE = 5.0
"""Seconds for which an answer of the broker's is waited for."""

_DECLARE = "BsbbbbbF"


def tls(url: str) -> Mapping[str, str | None] | bool:
    """Tell kombu how to speak with the broker at a URL: over TLS if it is ``amqps://``, and to nobody of another name.

    Told only that it is TLS, py-amqp takes any trusted certificate, whoever's it is; told nothing, it speaks openly.
    """
    parts = urlsplit(url)
    return {"server_hostname": parts.hostname} if parts.scheme == "amqps" else False


class _Impatient:
    """What is done by question and answer fails after a while, where py-amqp would wait for ever."""

    def wait(self, method: Any, callback: Any = None, timeout: float | None = None, returns_tuple: bool = False) -> Any:
        """Wait for an answer."""
        return super().wait(method, callback, timeout or PATIENCE, returns_tuple)  # type: ignore[misc]


class Channel(_Impatient, pyamqp.Channel):
    """A channel that knows which of its messages the broker has not confirmed yet."""

    def open(self) -> None:
        """Open the channel, at first or after an error, in the mode in which the broker confirms."""
        super().open()
        self.unconfirmed: set[int] = set()
        self._published = 0
        self._refused = False
        self.events["basic_ack"].add(self._on_confirm)
        self.events["basic_nack"].add(self._on_refuse)
        self.confirm_select()

    def create_publish_batch(self, max_size: int) -> "Batch":
        """Give what ``producer.batch()`` publishes by."""
        return Batch(self, max_size)

    def _basic_publish(self, *args: Any, **kwargs: Any) -> Any:
        done = super()._basic_publish(*args, **kwargs)  # what raises was not sent, and is never confirmed
        self._published += 1  # the broker counts the same
        self.unconfirmed.add(self._published)
        return done

    def publish_unconfirmed(self, message: Any, **options: Any) -> None:
        """Send a message whose confirm is waited for later."""
        self._basic_publish(message, **options)

    def wait_for_confirms(self) -> None:
        """Wait until the broker has all that was sent; raises where it has not, or says nothing for a while."""
        while self.unconfirmed:
            self.connection.drain_events(timeout=PATIENCE)
        refused, self._refused = self._refused, False
        if refused:
            raise MessageNacked

    def _on_confirm(self, tag: int, multiple: bool) -> None:
        self.unconfirmed -= {other for other in self.unconfirmed if other <= tag} if multiple else {tag}

    def _on_refuse(self, tag: int, multiple: bool) -> None:
        self._refused = True
        self._on_confirm(tag, multiple)


class Batch:
    """Messages that are confirmed together. A part of those of a batch that failed may be with the broker."""

    def __init__(self, channel: Channel, max_size: int) -> None:
        self.channel = channel
        self._max_size = max_size

    def publish(self, message: Any, confirm_timeout: float | None = None, **options: Any) -> None:
        """Send a message; waits for the confirms when there are many to come."""
        self.channel.publish_unconfirmed(message, **options)
        if len(self.channel.unconfirmed) >= self._max_size:
            self.flush()

    def flush(self) -> None:
        """Wait for the confirms of all that was sent."""
        self.channel.wait_for_confirms()

    def discard(self) -> None:
        """Take nothing back: what is sent is sent."""

    def close(self) -> None:
        """Keep the channel: it is the producer's."""


class Connection(_Impatient, pyamqp.Connection):
    """A connection with such channels, whose socket is closed however it ends."""

    Channel = Channel

    def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Connect, or leave nothing open."""
        try:
            return super().connect(*args, **kwargs)
        except Exception:
            self.collect()
            raise

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Say goodbye, and do not wait for long for the answer."""
        try:
            return super().close(*args, **kwargs)
        finally:
            self.collect()


class Transport(pyamqp.Transport):
    """Kombu's py-amqp transport with such connections."""

    Connection = Connection


def declare(channel: Any, queues: Sequence[Any]) -> Mapping[str, int]:
    """Declare kombu's queues, all in one round trip, and tell how many messages wait in each.

    Raises QueueMadeOtherwiseError.
    """
    for queue in queues:
        asked = (0, queue.name, False, queue.durable, False, False, False, queue.queue_arguments)
        channel.send_method(spec.Queue.Declare, _DECLARE, asked)
    try:
        answers = [channel.wait(spec.Queue.DeclareOk, returns_tuple=True) for _ in queues]
    except PreconditionFailed as error:
        raise QueueMadeOtherwiseError(
            f"RabbitMQ has a queue that was not made by this release ({error.reply_text.partition(' - ')[2]}):"
            " give the pizzeria a virtual host of its own, or delete the queue."
        ) from error
    return {name: messages for name, messages, _ in answers}
