"""A Redis stream: integration events as CloudEvents in structured JSON, the oldest dropped beyond a length.

CloudEvents has no binding for Redis: an entry has the fields ``content-type`` and ``event``.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from domain.integration import IntegrationEvent
from domain.settings import settings
from tasks.bus.retry import Permanent
from tasks.gateways import envelope
from tasks.gateways.target import ANSWER_SECONDS, CONNECT_SECONDS, AwayError

if TYPE_CHECKING:
    from redis import Redis

_PASSING = ("BUSY ", "MISCONF ", "NOREPLICAS ")
"""So begin answers that the library has no name for: a script that runs, a full disk, too few replicas."""


@cache
def _client() -> "Redis":
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError
    from redis.retry import Retry

    shop = settings()
    return Redis.from_url(
        shop.events_redis_url.get_secret_value() if shop.events_redis_url else "",
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 1, (ConnectionError,)),  # one that was closed meanwhile; what timed out may be there
    )


def publish(event: IntegrationEvent) -> None:
    """Append an event. Raises AwayError, or Permanent."""
    from redis import exceptions

    passing = (
        exceptions.ReadOnlyError,  # a primary that became a replica
        exceptions.OutOfMemoryError,
        exceptions.TryAgainError,
        exceptions.ClusterDownError,
        exceptions.AuthenticationWrongNumberOfArgsError,  # another way to refuse a login
    )
    shop = settings()
    entry: Any = {"content-type": envelope.STRUCTURED, "event": envelope.structured(event)}
    try:
        _client().xadd(shop.events_redis_stream, entry, maxlen=shop.events_redis_length, approximate=True)
    except exceptions.ResponseError as error:
        if isinstance(error, passing):
            raise AwayError(type(error).__name__) from error
        if str(error).startswith(_PASSING):
            raise AwayError(str(error).partition(" ")[0]) from error
        raise Permanent(f"Redis refuses: {error}") from error
    except (exceptions.ConnectionError, exceptions.TimeoutError) as error:  # a refused login among the former
        raise AwayError(type(error).__name__) from error
