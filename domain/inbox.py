"""The inbox: what other systems tell us. Each word is taken once, its effect in the same transaction."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from domain.delivery import Dispatch
from domain.integration import PREFIX
from domain.kernel import clock
from domain.kernel.unit_of_work import UnitOfWork
from domain.kitchen import Kitchen
from domain.orders import ID_PATTERN
from domain.settings import Settings
from domain.sources import OVEN, PARTNER, Source

OrderId = Annotated[str, Field(pattern=f"^(?:{ID_PATTERN})$")]


class IdReusedError(Exception):
    """The source has used this id before, for another event."""


class Word(BaseModel):
    """What somebody tells us: the data of an event, read strictly."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel)

    order_id: OrderId


class PizzaBaked(Word):
    """A pizza has come out of the oven: which of its order's, counted from 1 as the kitchen's tickets do."""

    pizza: Annotated[int, Field(ge=1, le=10_000)]


class Delivered(Word):
    """The customer has the order."""


WORDS: Mapping[str, tuple[str, type[Word]]] = {
    f"{PREFIX}oven.pizza-baked": (OVEN, PizzaBaked),
    f"{PREFIX}partner.delivered": (PARTNER, Delivered),
}
"""By the event's type: the kind of source that may tell it, and what it tells."""

_FORGOTTEN = 10
"""So many old rows go when a new one comes."""


def receive(work: UnitOfWork, source: Source, event_id: str, word: Word, settings: Settings) -> bool:
    """Take a source's word; tells whether it is new: one that was taken before has no second effect.

    Raises IdReusedError, UntimelyError or UnknownOrderError; then nothing is kept.
    """
    if not _is_new(work, source, event_id, word):
        return False
    _forget(work, clock.now() - settings.keep_deliveries)
    if isinstance(word, PizzaBaked):
        Kitchen(settings).take_out(work, word.order_id, word.pizza)
    else:
        Dispatch(settings).arrive(work, word.order_id)
    return True


def _forget(work: UnitOfWork, before: datetime) -> None:
    """Forget some of what was told long ago: its time is over, so telling it again is refused."""
    work.run(
        "DELETE FROM inbox WHERE ctid = ANY(ARRAY(SELECT ctid FROM inbox WHERE received_at < :before"
        " ORDER BY received_at LIMIT :some FOR UPDATE SKIP LOCKED))",
        before=before,
        some=_FORGOTTEN,
    )


def _is_new(work: UnitOfWork, source: Source, event_id: str, word: Word) -> bool:
    digest = hashlib.sha256(f"{type(word).__name__}:{word.model_dump_json()}".encode()).digest()
    added = work.run(
        "INSERT INTO inbox (source, id, digest, received_at) VALUES (:source, :id, :digest, :now)"
        " ON CONFLICT DO NOTHING RETURNING id",
        source=source.name,
        id=event_id,
        digest=digest,
        now=clock.now(),
    ).scalar()
    if added is None:
        known = work.run(
            "SELECT digest FROM inbox WHERE source = :source AND id = :id", source=source.name, id=event_id
        ).scalar_one()
        if bytes(known) != digest:
            raise IdReusedError("This id was used before, for another event: give each event an id of its own.")
    return added is not None
