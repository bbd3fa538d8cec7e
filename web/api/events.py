"""What other systems tell us: signed CloudEvents of an oven's sensor or a delivery partner."""

from collections.abc import Mapping

import structlog
from flask import Response, jsonify
from pydantic import ValidationError

from domain import inbox, sources
from domain.inbox import WORDS, IdReusedError, Word
from domain.orders import UntimelyError
from domain.sources import Source
from web.api import blueprint, cloud_event
from web.api.body import UnreadableError
from web.api.cloud_event import CloudEvent
from web.correlation import correlation_id
from web.counter import counter
from web.errors import problem, problems
from web.limits import TELLING, limit

_WANTED: Mapping[str, str] = {
    "data": "Send what happened as a JSON object.",
    "data.orderId": "Name the order by its id.",
    "data.pizza": "Say which of the order's pizzas it is: a whole number from 1.",
}
_logger = structlog.get_logger(__name__)


@blueprint.post("/api/events")
@limit(TELLING)
def receive() -> Response:
    """Take an event of another system's: once, with its effect."""
    try:
        event = cloud_event.read()
    except UnreadableError as error:
        return problem(error.status, str(error), "body")
    source = _signer(event)
    if source is None:
        return problem(401, "We could not verify who sent this: sign it now, with the secret of its source.")
    kind, tells = WORDS.get(event.type, (source.kind, None))
    if tells is None:
        return problem(422, f"We know no event of this type: send {' or '.join(WORDS)}.", "type")
    if kind != source.kind:
        return problem(403, f"{source.name} is of the kind {source.kind}, and may not tell this.", "type")
    try:
        word = tells.model_validate(event.data)
    except ValidationError as error:
        return problems(422, _problems(error))
    return _take(source, event, word)


def _signer(event: CloudEvent) -> Source | None:
    with counter().database.read() as connection:
        source = sources.find(connection, event.source) if sources.NAME.fullmatch(event.source) else None
    return source if source and cloud_event.is_signed(event, source.secret) else None


def _take(source: Source, event: CloudEvent, word: Word) -> Response:
    here = counter()
    try:
        is_new = here.change(correlation_id(), lambda work: inbox.receive(work, source, event.id, word, here.settings))
    except IdReusedError as error:
        return problem(409, str(error), "id")
    except UntimelyError as error:
        return problem(409, str(error), "data")
    if is_new:
        _logger.info("event_received", source=source.name, event_id=event.id, event_type=event.type)
    answer = jsonify({"id": event.id, "repeated": not is_new})
    answer.status_code = 202
    return answer


def _problems(error: ValidationError) -> dict[str, str]:
    fields = [".".join(["data", *(str(part)[:60] for part in each["loc"])]) for each in error.errors()]
    return {field: _WANTED.get(field, "There is no such field: leave it out.") for field in fields}
