"""The stream: appends integration events to a Redis stream, if PIZZERIA_EVENTS_REDIS_URL names one."""

from domain import integration
from domain.events import OrderEvent
from domain.settings import settings
from tasks.bus.registry import Call, calls, used_while
from tasks.gateways import stream
from tasks.gateways.target import RETRY, Target

_target = Target("Redis", stream.publish)


@used_while
def a_redis_is_named() -> bool:
    """Tell whether there is a stream to append to."""
    return settings().events_redis_url is not None


@calls(*integration.TRANSLATIONS, retry=RETRY, personal=False)
def append(event: OrderEvent, call: Call) -> str:
    """Append an event."""
    return _target.tell(event, call)
