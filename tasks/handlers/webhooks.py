"""Webhooks: posts the integration events to every endpoint that wants them, each once, however long one is away."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from domain import integration, webhooks
from domain.events import OrderEvent
from domain.kernel import clock
from domain.settings import settings
from domain.webhooks import Endpoint
from tasks.bus.registry import Call, calls, subscribed_while
from tasks.bus.retry import Retry, Wait
from tasks.database import database
from tasks.gateways import envelope, webhook

RETRY = Retry(times=8, first=1, cap=30)

_logger = structlog.get_logger(__name__)


@subscribed_while
def somebody_listens(connection: Connection) -> bool:
    """Tell whether there is an endpoint: without one, no event takes this way."""
    return webhooks.are_wanted(connection)


@calls(*integration.TRANSLATIONS, retry=RETRY, personal=False)
def post(event: OrderEvent, call: Call) -> str:
    """Post an event to those endpoints that have not got it; waits, uncounted, for those that are left alone."""
    told = integration.translate(event, call.event_id)
    with database().read() as connection:
        found = [each for each in webhooks.still_to_be_told(connection, told.id, told.at) if each.wants(told.name)]
    later = [at for each in found if (at := _post(each, told)) is not None]
    if later:
        raise Wait((min(later) - clock.now()).total_seconds(), "an endpoint is left alone for a while")
    return f"posted to {len(found)}"


def _post(endpoint: Endpoint, told: integration.IntegrationEvent) -> datetime | None:
    """Post an event to an endpoint and write down what came of it; gives when to try again, if that helps."""
    shop = settings()
    if endpoint.next_call_at is not None and endpoint.next_call_at > clock.now():
        return endpoint.next_call_at
    body = envelope.structured(told)
    posted = webhook.post(endpoint, str(told.id), body, webhook.networks(shop.webhook_networks))
    with database().begin(f"webhook-{endpoint.id}") as work:
        if posted.took:
            webhooks.note_success(work, endpoint, told.id, posted.answer, posted.seconds)
            return None
        days = timedelta(days=shop.webhook_days)
        due = webhooks.note_failure(work, endpoint, posted.answer, give_up_after=days, is_gone=posted.is_gone)
    if due is None:
        _logger.error("webhook_disabled", endpoint=endpoint.id, answer=posted.answer)
    return due
