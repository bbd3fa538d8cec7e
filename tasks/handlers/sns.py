"""SNS: publishes integration events on a topic, if PIZZERIA_EVENTS_SNS_TOPIC names one."""

from domain import integration
from domain.events import OrderEvent
from domain.settings import settings
from tasks.bus.registry import Call, calls, used_while
from tasks.gateways import sns
from tasks.gateways.target import RETRY, Target, require

_target = Target("SNS", sns.publish)


@used_while
def a_topic_is_named() -> bool:
    """Tell whether there is a topic to publish on. Raises SettingsError where the library for it is not installed."""
    named = settings().events_sns_topic is not None
    if named:
        require("boto3", "boto3", "EVENTS_SNS_TOPIC")
    return named


@calls(*integration.TRANSLATIONS, retry=RETRY, personal=False)
def publish(event: OrderEvent, call: Call) -> str:
    """Publish an event."""
    return _target.tell(event, call)
