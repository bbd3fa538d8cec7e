"""Integration events as CloudEvents 1.0 (https://cloudevents.io), for whatever carries them."""

from typing import TYPE_CHECKING

from domain.integration import SOURCE, IntegrationEvent

if TYPE_CHECKING:
    from cloudevents.core.v1.event import CloudEvent  # below where it is used: a worker that tells nobody starts sooner

STRUCTURED = "application/cloudevents+json"


def cloud_event(event: IntegrationEvent) -> "CloudEvent":
    """Give an event as a CloudEvent; its id and time are those of the domain event, however often it is sent."""
    from cloudevents.core.v1.event import CloudEvent

    attributes = {
        "id": str(event.id),
        "source": SOURCE,
        "type": event.type,
        "subject": event.subject,
        "time": event.at,
        "datacontenttype": "application/json",
        "dataschema": event.dataschema,
    }
    return CloudEvent(attributes, dict(event.data))


def structured(event: IntegrationEvent) -> bytes:
    """Write an event as a CloudEvent in JSON."""
    from cloudevents.core.formats.json import JSONFormat

    return JSONFormat().write(cloud_event(event))
