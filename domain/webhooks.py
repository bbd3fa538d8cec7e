"""Webhooks: the endpoints that staff keep, what each was sent, and how long one that fails is left alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
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
    created_at: datetime
    failures: int
    failing_since: datetime | None
    next_call_at: datetime | None
    last_answer: str | None
    disabled_at: datetime | None

    def wants(self, name: str, at: datetime) -> bool:
        """Tell whether an integration event of this name is to be posted here: none from before it was added."""
        return self.created_at <= at and (not self.types or name in self.types)

    def is_left_alone(self, now: datetime) -> bool:
        """Tell whether nothing is to be posted here yet."""
        return self.next_call_at is not None and self.next_call_at > now

    @property
    def state(self) -> str:
        """Well, failing or disabled."""
        return "disabled" if self.disabled_at else "failing" if self.failing_since else "well"

    def after_success(self, answer: str, seconds: float) -> "Endpoint":
        """Give it as it is once it took an event; one that took its time over it is left alone for a while."""
        pause = timedelta(seconds=seconds * SLOW_SHARE) if seconds > SLOW_SECONDS else None
        due = clock.now() + pause if pause else None
        return replace(self, failures=0, failing_since=None, next_call_at=due, last_answer=answer)

    def after_failure(self, answer: str, *, give_up_after: timedelta, is_gone: bool = False) -> "Endpoint":
        """Give it as it is once it failed: left alone for a while, or disabled."""
        now = clock.now()
        since = self.failing_since or now
        failing = replace(self, failures=self.failures + 1, failing_since=since, last_answer=answer)
        if is_gone or now - since > give_up_after:
            return replace(failing, disabled_at=now)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self.failures, 20))
        return replace(failing, next_call_at=now + timedelta(seconds=pause))


_COLUMNS = ", ".join(Endpoint.__dataclass_fields__)


def endpoints(connection: Connection) -> list[Endpoint]:
    """Read every endpoint, the oldest first."""
    rows = connection.execute(text(f"SELECT {_COLUMNS} FROM webhook_endpoints ORDER BY created_at, id"))
    return [_endpoint(row) for row in rows]


def are_wanted(connection: Connection) -> bool:
    """Tell whether there is an endpoint at all."""
    return bool(connection.execute(text("SELECT EXISTS (SELECT FROM webhook_endpoints)")).scalar_one())


def still_wanting(connection: Connection, events: Sequence[UUID]) -> list[tuple[Endpoint, set[UUID]]]:
    """Read the enabled endpoints, each with those of the events that it took while others were left alone."""
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS}, ARRAY(SELECT p.event_id FROM webhook_posts p"
            "  WHERE p.event_id = ANY(CAST(:events AS uuid[])) AND p.endpoint_id = e.id) AS took"
            " FROM webhook_endpoints e WHERE disabled_at IS NULL ORDER BY id"
        ),
        {"events": list(events)},
    )
    return [(_endpoint(row), set(row.took)) for row in rows]


def _endpoint(row: object) -> Endpoint:
    values = {name: getattr(row, name) for name in Endpoint.__dataclass_fields__}
    return Endpoint(**values | {"types": tuple(values["types"])})


def add(work: UnitOfWork, url: str, types: Sequence[str]) -> Endpoint:
    """Add an endpoint, with a secret of its own; gives it."""
    endpoint = Endpoint(uuid7().hex, url, new_secret(), tuple(types), clock.now(), 0, None, None, None, None)
    work.run(
        "INSERT INTO webhook_endpoints (id, url, secret, types, created_at) VALUES (:id, :url, :secret, :types, :now)",
        id=endpoint.id,
        url=url,
        secret=endpoint.secret,
        types=list(types),
        now=endpoint.created_at,
    )
    return endpoint


def remove(work: UnitOfWork, endpoint_id: str) -> None:
    """Remove an endpoint and what is known of its posts. Raises UnknownEndpointError."""
    if not work.run("DELETE FROM webhook_endpoints WHERE id = :id RETURNING id", id=endpoint_id).scalar():
        raise UnknownEndpointError(endpoint_id)


def enable(work: UnitOfWork, endpoint_id: str) -> None:
    """Post to an endpoint again, at once: what happens from now on, and what still waits for it or for another.

    What was done with while it was disabled is not sent. Raises UnknownEndpointError.
    """
    found = work.run(
        "UPDATE webhook_endpoints SET failures = 0, failing_since = NULL, next_call_at = NULL, disabled_at = NULL"
        " WHERE id = :id RETURNING id",
        id=endpoint_id,
    ).scalar()
    if not found:
        raise UnknownEndpointError(endpoint_id)


def save(work: UnitOfWork, endpoint: Endpoint) -> None:
    """Write down how an endpoint is after it was posted to; one that is disabled meanwhile stays so."""
    work.run(
        "UPDATE webhook_endpoints SET failures = :failures, failing_since = :since, next_call_at = :next,"
        " last_answer = :answer, disabled_at = coalesce(disabled_at, :disabled) WHERE id = :id",
        id=endpoint.id,
        failures=endpoint.failures,
        since=endpoint.failing_since,
        next=endpoint.next_call_at,
        answer=endpoint.last_answer,
        disabled=endpoint.disabled_at,
    )


def note_taken(work: UnitOfWork, taken: Sequence[tuple[UUID, Endpoint]]) -> None:
    """Write down which endpoints took which events that others still wait for; one removed meanwhile is left out."""
    if not taken:
        return
    now = clock.now()
    rows = [
        {"event_id": event_id, "endpoint_id": endpoint.id, "answer": endpoint.last_answer, "posted_at": now}
        for event_id, endpoint in taken
    ]
    work.run(
        "INSERT INTO webhook_posts (event_id, endpoint_id, answer, posted_at)"
        " SELECT r.event_id, e.id, r.answer, r.posted_at"
        " FROM json_populate_recordset(CAST(NULL AS webhook_posts), CAST(:rows AS json)) r"
        " JOIN webhook_endpoints e ON e.id = r.endpoint_id FOR KEY SHARE OF e ON CONFLICT DO NOTHING",
        rows=msgspec.json.encode(rows).decode(),
    )


def forget_taken(work: UnitOfWork, events: Sequence[UUID]) -> None:
    """Strike out who took these events: everybody has got them."""
    if events:
        work.run("DELETE FROM webhook_posts WHERE event_id = ANY(CAST(:events AS uuid[]))", events=list(events))
