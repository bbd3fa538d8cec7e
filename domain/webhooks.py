"""Webhooks: the endpoints that staff keep, what each was sent, and how long one that fails is left alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text
from uuid_utils.compat import uuid7

from domain.kernel import clock
from domain.kernel.unit_of_work import UnitOfWork
from domain.secret import new_secret

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 3600.0
"""Seconds for which an endpoint is left alone after one failure, and after many."""
SLOW_SECONDS, SLOW_SHARE = 1.0, 4
"""An endpoint that takes longer is left alone for so many times as long: the others get most of the time."""


class UnknownEndpointError(Exception):
    """There is no such endpoint."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where events are posted. ``types`` are the names of those wanted; none means all."""

    id: str
    url: str
    secret: str
    types: tuple[str, ...]
    failures: int
    failing_since: datetime | None
    next_call_at: datetime | None
    last_answer: str | None
    disabled_at: datetime | None

    def wants(self, name: str) -> bool:
        """Tell whether an integration event of this name is to be posted here."""
        return not self.types or name in self.types

    @property
    def state(self) -> str:
        """Well, failing or disabled."""
        return "disabled" if self.disabled_at else "failing" if self.failing_since else "well"


_SELECT = f"SELECT {', '.join(Endpoint.__dataclass_fields__)} FROM webhook_endpoints "


def endpoints(connection: Connection) -> list[Endpoint]:
    """Read every endpoint, the oldest first."""
    return [_endpoint(row) for row in connection.execute(text(_SELECT + "ORDER BY created_at, id"))]


def are_wanted(connection: Connection) -> bool:
    """Tell whether there is an endpoint at all."""
    return bool(connection.execute(text("SELECT EXISTS (SELECT FROM webhook_endpoints)")).scalar_one())


def still_to_be_told(connection: Connection, event_id: UUID, at: datetime) -> list[Endpoint]:
    """Read the enabled endpoints that were there when an event happened and were not sent it yet."""
    rows = connection.execute(
        text(
            _SELECT + "e WHERE disabled_at IS NULL AND created_at <= :at AND NOT EXISTS"
            " (SELECT FROM webhook_posts p WHERE p.event_id = :event AND p.endpoint_id = e.id) ORDER BY id"
        ),
        {"event": event_id, "at": at},
    )
    return [_endpoint(row) for row in rows]


def _endpoint(row: object) -> Endpoint:
    values = {name: getattr(row, name) for name in Endpoint.__dataclass_fields__}
    return Endpoint(**values | {"types": tuple(values["types"])})


def add(work: UnitOfWork, url: str, types: Sequence[str]) -> Endpoint:
    """Add an endpoint, with a secret of its own; gives it."""
    endpoint = Endpoint(uuid7().hex, url, new_secret(), tuple(types), 0, None, None, None, None)
    work.run(
        "INSERT INTO webhook_endpoints (id, url, secret, types, created_at) VALUES (:id, :url, :secret, :types, :now)",
        id=endpoint.id,
        url=url,
        secret=endpoint.secret,
        types=list(types),
        now=clock.now(),
    )
    return endpoint


def remove(work: UnitOfWork, endpoint_id: str) -> None:
    """Remove an endpoint and what is known of its posts. Raises UnknownEndpointError."""
    if not work.run("DELETE FROM webhook_endpoints WHERE id = :id RETURNING id", id=endpoint_id).scalar():
        raise UnknownEndpointError(endpoint_id)


def enable(work: UnitOfWork, endpoint_id: str) -> None:
    """Post to an endpoint again, at once; what happened meanwhile is not sent. Raises UnknownEndpointError."""
    found = work.run(
        "UPDATE webhook_endpoints SET failures = 0, failing_since = NULL, next_call_at = NULL, disabled_at = NULL"
        " WHERE id = :id RETURNING id",
        id=endpoint_id,
    ).scalar()
    if not found:
        raise UnknownEndpointError(endpoint_id)


def note_success(work: UnitOfWork, endpoint: Endpoint, event_id: UUID, answer: str, seconds: float) -> None:
    """Write down that an endpoint took an event; one that took its time over it is left alone for a while."""
    now = clock.now()
    pause = timedelta(seconds=seconds * SLOW_SHARE) if seconds > SLOW_SECONDS else None
    work.run(
        "INSERT INTO webhook_posts (event_id, endpoint_id, answer, posted_at) VALUES (:event, :id, :answer, :now)"
        " ON CONFLICT DO NOTHING",
        event=event_id,
        id=endpoint.id,
        answer=answer,
        now=now,
    )
    work.run(
        "UPDATE webhook_endpoints SET failures = 0, failing_since = NULL, last_answer = :answer, next_call_at = :next"
        " WHERE id = :id AND (failing_since IS NOT NULL OR next_call_at IS DISTINCT FROM :next"
        "  OR last_answer IS DISTINCT FROM :answer)",
        id=endpoint.id,
        answer=answer,
        next=now + pause if pause else None,
    )


def note_failure(
    work: UnitOfWork, endpoint: Endpoint, answer: str, *, give_up_after: timedelta, is_gone: bool = False
) -> datetime | None:
    """Write down that an endpoint failed; gives when it is called next, or None where it is disabled now."""
    now = clock.now()
    since = endpoint.failing_since or now
    if is_gone or now - since > give_up_after:
        work.run(
            "UPDATE webhook_endpoints SET disabled_at = :now, last_answer = :answer, failing_since = :since,"
            " failures = failures + 1 WHERE id = :id",
            id=endpoint.id,
            now=now,
            answer=answer,
            since=since,
        )
        return None
    due = now + timedelta(seconds=min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(endpoint.failures, 20)))
    work.run(
        "UPDATE webhook_endpoints SET failures = failures + 1, failing_since = :since, next_call_at = :due,"
        " last_answer = :answer WHERE id = :id",
        id=endpoint.id,
        since=since,
        due=due,
        answer=answer,
    )
    return due
