"""The exchange: publishes integration events on a RabbitMQ topic exchange, if PIZZERIA_EVENTS_AMQP_URL names one."""

from domain import integration
from domain.events import OrderEvent
from domain.settings import settings
from tasks.bus.registry import Call, calls, used_while
from tasks.gateways import exchange
from tasks.gateways.target import RETRY, Target

_target = Target("RabbitMQ", exchange.publish)


@used_while
def a_broker_is_named() -> bool:
    """Tell whether there is an exchange to publish on."""
    return settings().events_amqp_url is not None


@calls(*integration.TRANSLATIONS, retry=RETRY, personal=False)
def publish(event: OrderEvent, call: Call) -> str:
    """Publish an event."""
    return _target.tell(event, call)
