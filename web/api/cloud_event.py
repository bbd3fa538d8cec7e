"""CloudEvents 1.0 that others send us over HTTP, structured or binary, signed after Standard Webhooks.

The signature covers the id, the time and the body (https://www.standardwebhooks.com), not the headers of an event in
binary mode. Of those only the id is believed, which is signed too, and the source, which chooses the secret: what is
told, and of which order, stands in the body, and each kind of source has one type only.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.exceptions import BaseCloudEventException
from flask import request
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from web.api.body import JSON, UnreadableError, parse, read_bytes
from web.api.orders import KEY

STRUCTURED = "application/cloudevents+json"
SIGNATURE = ("webhook-id", "webhook-timestamp", "webhook-signature")

_REQUIRED = ("specversion", "id", "source", "type")


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """An event as it came: whose it says it is, and the bytes that must be signed."""

    id: str
    source: str
    type: str
    data: object
    body: bytes


def read() -> CloudEvent:
    """Read this request's event. Raises UnreadableError or RequestEntityTooLarge."""
    body = read_bytes(STRUCTURED, JSON)
    sent = parse(body)
    headers = {name.lower(): value for name, value in request.headers.items()}
    if request.mimetype == STRUCTURED:
        headers = {name: value for name, value in headers.items() if not name.startswith("ce-")}
        _require(sent if isinstance(sent, dict) else {})
    else:
        _require({name: headers.get(f"ce-{name}") for name in _REQUIRED})
    try:
        event = from_http_event(HTTPMessage(headers, body))
    except (BaseCloudEventException, ValueError, TypeError, AttributeError, OverflowError):
        raise UnreadableError(400, "This is no CloudEvent 1.0: one of its attributes is wrong.") from None
    if not KEY.fullmatch(event.get_id()):
        raise UnreadableError(400, "Give the event an id of 1 to 200 visible ASCII characters.")
    return CloudEvent(event.get_id(), event.get_source(), event.get_type(), event.get_data(), body)


def _require(attributes: Mapping[str, object]) -> None:
    """Refuse what is no CloudEvent 1.0: the library would make up an id that is missing."""
    for name in _REQUIRED:
        value = attributes.get(name)
        if not isinstance(value, str) or not value:
            raise UnreadableError(400, f"Please send a CloudEvent 1.0: its {name} is missing.")
    if attributes["specversion"] != "1.0":
        raise UnreadableError(400, "Please send a CloudEvent 1.0: its specversion is another.")


def is_signed(event: CloudEvent, secret: str) -> bool:
    """Tell whether an event is signed with a secret, now, and under its own id."""
    signature = {name: request.headers.get(name, "") for name in SIGNATURE}
    if signature["webhook-id"] != event.id:
        return False
    try:
        Webhook(secret).verify(event.body, signature, json_parse=False)
    except (WebhookVerificationError, ValueError):  # the second for a signature that cannot be one
        return False
    return True
