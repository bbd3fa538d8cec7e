"""An SNS topic: integration events as CloudEvents in structured JSON, with attributes that subscriptions filter by."""

from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from domain.integration import SOURCE, IntegrationEvent
from domain.settings import settings
from tasks.bus.retry import Permanent
from tasks.gateways import envelope
from tasks.gateways.target import ANSWER_SECONDS, CONNECT_SECONDS, AwayError

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

FIFO = ".fifo"
_LOGINS = frozenset(
    {
        *("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"),
        *("IncompleteSignature", "MissingAuthenticationToken", "RequestExpired", "SignatureDoesNotMatch"),
    }
)
"""A key that is refused, or is no longer good: the next event looks for one again."""


@cache
def _client() -> Any:
    import boto3
    from botocore.config import Config

    shop = settings()
    return boto3.Session().client(  # one of its own, which has looked for no key yet
        "sns",
        region_name=str(shop.events_sns_topic).split(":")[3],
        endpoint_url=shop.events_sns_url,
        aws_access_key_id=shop.events_sns_key_id,  # without: wherever AWS's own tools find one
        aws_secret_access_key=shop.events_sns_key.get_secret_value() if shop.events_sns_key else None,
        config=Config(connect_timeout=CONNECT_SECONDS, read_timeout=ANSWER_SECONDS, retries={"total_max_attempts": 1}),
    )


def publish(event: IntegrationEvent) -> None:
    """Publish an event; on a FIFO topic an order's go in turn, and none twice. Raises AwayError, or Permanent."""
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    topic = str(settings().events_sns_topic)
    in_turn = {"MessageGroupId": event.subject, "MessageDeduplicationId": str(event.id)} if topic.endswith(FIFO) else {}
    attributes = {"type": event.type, "source": SOURCE, "subject": event.subject}
    try:
        _client().publish(
            TopicArn=topic,
            Message=envelope.structured(event).decode(),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
            **in_turn,
        )
    except ClientError as error:
        if _code(error) in _LOGINS:
            _client.cache_clear()
        raise _judged(error) from error
    except ParamValidationError as error:
        raise Permanent(f"SNS cannot be asked so: {error}") from error
    except BotoCoreError as error:  # no connection, no answer, no key found
        _client.cache_clear()
        raise AwayError(type(error).__name__) from error


def _code(error: "ClientError") -> str:
    return str(error.response.get("Error", {}).get("Code"))


def _judged(error: "ClientError") -> Exception:
    """Tell what passes from what does not: SNS is asked too often, ails, or refuses the key; or never takes this."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = _code(error)
    if (
        status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or status == HTTPStatus.TOO_MANY_REQUESTS
        or "Throttl" in code
        or code in _LOGINS
    ):
        return AwayError(code)
    return Permanent(f"SNS refuses: {error}")
