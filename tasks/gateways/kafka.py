"""A Kafka topic: integration events as CloudEvents in binary mode, an order's all in one partition."""

from functools import cache
from typing import TYPE_CHECKING, Any

import structlog

from domain.integration import IntegrationEvent
from domain.settings import Settings, settings
from tasks.bus.retry import Permanent
from tasks.gateways import envelope
from tasks.gateways.target import ANSWER_SECONDS, AwayError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Producer

_logger = structlog.get_logger(__name__)

# A topic that is not there, a right that is missing, a message that is too large: asking again changes nothing.
_REFUSALS = frozenset(
    {
        *("CLUSTER_AUTHORIZATION_FAILED", "TOPIC_AUTHORIZATION_FAILED", "TOPIC_EXCEPTION", "POLICY_VIOLATION"),
        *("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "MSG_SIZE_TOO_LARGE", "INVALID_MSG", "INVALID_RECORD"),
        *("_INVALID_ARG", "_UNKNOWN_PARTITION", "UNSUPPORTED_VERSION"),
    }
)


def configuration(shop: Settings) -> dict[str, Any]:
    """Give librdkafka's configuration: every in-sync replica has a message, once, or we are told that it has not."""
    with_login = shop.events_kafka_security.startswith("sasl")
    password = shop.events_kafka_password.get_secret_value() if shop.events_kafka_password else None
    wanted = {
        "bootstrap.servers": shop.events_kafka_servers,
        "client.id": "marios-pizzeria",
        "enable.idempotence": True,
        "acks": "all",
        "message.timeout.ms": round(ANSWER_SECONDS * 1000),
        "log_level": 0,  # what is wrong is told to the callbacks
        "security.protocol": shop.events_kafka_security,
        "ssl.ca.pem": shop.events_kafka_ca,
        "sasl.mechanism": shop.events_kafka_mechanism if with_login else None,
        "sasl.username": shop.events_kafka_user if with_login else None,
        "sasl.password": password if with_login else None,
    }
    return {name: value for name, value in wanted.items() if value is not None}


@cache
def _producer() -> "Producer":
    from confluent_kafka import Producer

    return Producer(configuration(settings()) | {"error_cb": _note})


def _note(error: "KafkaError") -> None:
    """Write down what ails the connection: the delivery report of an event that could not be sent says only that."""
    _logger.warning("kafka_ails", why=error.name())


def publish(event: IntegrationEvent) -> None:
    """Publish an event, its key the order's id, and wait for its delivery report. Raises AwayError, or Permanent."""
    from cloudevents.core.bindings.kafka import to_binary_event
    from confluent_kafka import KafkaException

    order_id = event.subject.rpartition("/")[2]
    message = to_binary_event(envelope.cloud_event(event), key_mapper=lambda _: order_id)
    reports: list[KafkaError | None] = []
    try:
        producer = _producer()
        producer.produce(
            settings().events_kafka_topic,
            message.value,
            message.key,
            headers=list(message.headers.items()),
            on_delivery=lambda error, _: reports.append(error),
        )
        producer.flush(ANSWER_SECONDS + 1)
    except KafkaException as error:
        raise _judged(error.args[0]) from error
    except BufferError as error:
        raise AwayError("too much waits for it") from error
    if not reports:
        raise AwayError("it does not answer")
    if reports[0] is not None:
        raise _judged(reports[0])


def _judged(error: "KafkaError") -> Exception:
    """Tell what passes from what does not."""
    if error.fatal():  # this producer can do no more
        _producer.cache_clear()
    if error.name() in _REFUSALS:
        return Permanent(f"Kafka refuses: {error.name()}: {error.str()}")
    return AwayError(error.name())
