"""A RabbitMQ topic exchange: integration events as CloudEvents in binary mode, confirmed by the broker.

The headers are those of the CloudEvents AMQP binding, so that who reads by AMQP 1.0 sees application properties.
"""

from functools import cache

from amqp.exceptions import AccessRefused, AMQPError, MessageNacked, NotAllowed, PreconditionFailed
from kombu import Connection, Exchange, Producer
from kombu.exceptions import KombuError

from domain.integration import IntegrationEvent
from domain.settings import settings
from tasks.bus import rabbitmq
from tasks.bus.retry import Permanent
from tasks.gateways import envelope
from tasks.gateways.target import CONNECT_SECONDS, AwayError

_PERSISTENT = 2
_REFUSALS = (AccessRefused, NotAllowed, PreconditionFailed)


@cache
def _producer() -> Producer:
    """Connect, and declare the exchange. Raises AwayError where the login is refused: that is mended there or here."""
    shop = settings()
    url = shop.events_amqp_url.get_secret_value() if shop.events_amqp_url else ""
    connection = Connection(url, transport=rabbitmq.TRANSPORT, ssl=rabbitmq.tls(url), connect_timeout=CONNECT_SECONDS)
    try:
        connection.connect()
    except AccessRefused as error:
        raise AwayError("it refuses the login") from error
    exchange = Exchange(shop.events_amqp_exchange, type="topic", durable=True)
    return Producer(connection.channel(), exchange, auto_declare=True)


def publish(event: IntegrationEvent) -> None:
    """Publish an event under its name (``order.placed``) and wait until the broker has it. Nobody has to listen.

    Raises AwayError, or Permanent.
    """
    from cloudevents.core.bindings.amqp import to_binary_event

    message = to_binary_event(envelope.cloud_event(event))
    try:
        producer = _producer()
        with producer.batch(1):  # which ends when the broker has confirmed
            producer.publish(
                message.application_data,
                routing_key=event.name,
                headers=message.application_properties,
                content_type=message.properties["content-type"],
                content_encoding="utf-8",
                delivery_mode=_PERSISTENT,
                message_id=str(event.id),
            )
    except _REFUSALS as error:
        _hang_up()
        raise Permanent(f"RabbitMQ refuses: {error}") from error
    except (OSError, AMQPError, KombuError, MessageNacked) as error:
        _hang_up()
        raise AwayError(type(error).__name__) from error


def _hang_up() -> None:
    """Forget the connection, which may be broken: the next event makes another."""
    if _producer.cache_info().currsize:
        _producer().channel.connection.collect()
    _producer.cache_clear()
