"""Kafka: publishes integration events on a topic, if PIZZERIA_EVENTS_KAFKA_SERVERS names servers."""

from domain import integration
from domain.events import OrderEvent
from domain.settings import settings
from tasks.bus.registry import Call, calls, used_while
from tasks.gateways import kafka
from tasks.gateways.target import RETRY, Target, require

_target = Target("Kafka", kafka.publish)


@used_while
def servers_are_named() -> bool:
    """Tell whether there is a topic to publish on. Raises SettingsError where the library for it is not installed."""
    named = settings().events_kafka_servers is not None
    if named:
        require("confluent_kafka", "confluent-kafka", "EVENTS_KAFKA_SERVERS")
    return named


@calls(*integration.TRANSLATIONS, retry=RETRY, personal=False)
def publish(event: OrderEvent, call: Call) -> str:
    """Publish an event."""
    return _target.tell(event, call)
