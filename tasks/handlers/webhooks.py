"""Webhooks: posts the integration events to every endpoint that wants them, each once, however long one is away."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection

from domain import integration, webhooks
from domain.events import OrderEvent
from domain.integration import IntegrationEvent
from domain.kernel import clock
from domain.kernel.event import Recorded
from domain.kernel.unit_of_work import UnitOfWork
from domain.settings import settings
from domain.webhooks import Endpoint
from tasks.bus.registry import Answer, Call, calls, holds_back, settles, subscribed_while
from tasks.bus.retry import Retry, Wait
from tasks.gateways import envelope, webhook
from tasks.gateways.webhook import Posted

RETRY = Retry(times=8, first=1, cap=30)
TOLD = "nobody is still to be told"
_OVER = frozenset({"done", "held back"})

_logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class Round:
    """One event's way round the endpoints that it is owed to, each as it was before and after its post.

    ``known`` are the endpoints as the last post left them; all events of a message share it. ``taken_before`` tells
    whether somebody got the event already, which is written down.
    """

    owed: Sequence[str]
    known: dict[str, Endpoint]
    taken_before: bool
    posts: list[tuple[Endpoint, Endpoint]] = field(default_factory=list)

    def note(self, before: Endpoint, after: Endpoint) -> None:
        """Keep what became of an endpoint by a post."""
        self.known[after.id] = after
        self.posts.append((before, after))

    @property
    def took(self) -> list[Endpoint]:
        """The endpoints that took the event."""
        return [after for _, after in self.posts if after.state == "well"]

    @property
    def left(self) -> list[Endpoint]:
        """The endpoints that it is still owed to."""
        took = {endpoint.id for endpoint in self.took}
        return [self.known[each] for each in self.owed if each not in took and not self.known[each].disabled_at]

    def wait(self, now: datetime) -> Wait:
        """Give for how long it waits: until one of those left is to be called again."""
        due = min(endpoint.next_call_at or now for endpoint in self.left)
        return Wait((due - now).total_seconds(), "an endpoint is left alone for a while")


@subscribed_while
def somebody_listens(connection: Connection) -> bool:
    """Tell whether there is an endpoint: without one, no event takes this way."""
    return webhooks.are_wanted(connection)


@holds_back
def hold_back(due: Sequence[tuple[Recorded[Any], Call]], connection: Connection) -> dict[str, str | Wait]:
    """Hold back what nobody is still to be told, and have wait what is owed only to endpoints that are left alone."""
    held: dict[str, str | Wait] = {}
    now = clock.now()
    wanting = webhooks.still_wanting(connection, [recorded.id for recorded, _ in due])
    known = {endpoint.id: endpoint for endpoint, _ in wanting}
    for recorded, call in due:
        name, at = integration.TRANSLATIONS[type(recorded.event)].name, integration.happened_at(recorded.id)
        owed = [each.id for each, took in wanting if recorded.id not in took and each.wants(name, at)]
        call.draft = Round(owed, known, any(recorded.id in took for _, took in wanting))
        if not owed:
            held[call.key] = TOLD
        elif all(known[each].is_left_alone(now) for each in owed):
            held[call.key] = call.draft.wait(now)
    return held


@calls(*integration.TRANSLATIONS, retry=RETRY, personal=False)
def post(event: OrderEvent, call: Call) -> str:
    """Post an event to those endpoints that have not got it; waits, uncounted, for those that are left alone."""
    its_round: Round = call.draft
    now = clock.now()
    due = [endpoint for endpoint in its_round.left if not endpoint.is_left_alone(now)]
    for endpoint, posted in zip(due, _post(due, integration.translate(event, call.event_id)), strict=True):
        its_round.note(endpoint, _after(endpoint, posted))
    if its_round.left:
        raise its_round.wait(clock.now())
    return f"posted to {len(its_round.took)}"


def _post(endpoints: Sequence[Endpoint], told: IntegrationEvent) -> Sequence[Posted]:
    allowed = webhook.networks(settings().webhook_networks)
    return webhook.post(endpoints, str(told.id), envelope.structured(told), allowed) if endpoints else []


def _after(endpoint: Endpoint, posted: Posted) -> Endpoint:
    """Give an endpoint as it is after a post."""
    if posted.took:
        return endpoint.after_success(posted.answer, posted.seconds)
    give_up_after = timedelta(days=settings().webhook_days)
    after = endpoint.after_failure(posted.answer, give_up_after=give_up_after, is_gone=posted.is_gone)
    if after.disabled_at:
        _logger.error("webhook_disabled", endpoint=after.id, answer=posted.answer)
    return after


@settles
def settle(answers: Sequence[Answer], work: UnitOfWork) -> None:
    """Keep how the endpoints are now, and who took an event that another still waits for.

    Of what is done, nobody asks again who took it; of an endpoint that is as it was, there is nothing to keep.
    """
    rounds = [(answer, answer.call.draft) for answer in answers if isinstance(answer.call.draft, Round)]
    changed = {after.id: after for _, each in rounds for before, after in each.posts if after != before}
    for endpoint_id in sorted(changed):
        webhooks.save(work, changed[endpoint_id])
    webhooks.forget_taken(work, [a.call.event_id for a, each in rounds if a.state in _OVER and each.taken_before])
    webhooks.note_taken(
        work,
        [
            (answer.call.event_id, endpoint)
            for answer, each in rounds
            if answer.state not in _OVER
            for endpoint in each.took
        ],
    )
