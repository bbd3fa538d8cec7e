"""The journey of something through the house: its events, and what became of each of their deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from domain.kernel.event import Catalogue, Event, Recorded
from domain.kernel.log import COLUMNS, decode


@dataclass(frozen=True, slots=True)
class Leg:
    """One delivery of an event to a handler. ``error`` is the last line of its last error, also of one got over."""

    handler: str
    state: str
    attempts: int
    not_before: datetime
    sent_at: datetime | None
    started_at: datetime | None
    done_at: datetime | None
    wait_seconds: float | None
    """From when the event was recorded until the handler last began with it."""
    run_seconds: float | None
    """From then until it was done, or parked."""
    error: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """One recorded event; ``event`` is None where this code cannot read it."""

    position: int
    id: str
    type: str
    version: int
    stream: str
    sequence: int
    recorded_at: datetime
    correlation_id: str
    causation_id: str | None
    event: Event | None
    legs: Sequence[Leg] = ()


@dataclass(frozen=True, slots=True)
class About:
    """What is looked for: these streams, and what has their correlation unless it is about another such thing.

    Several things may share a correlation (one request, one batch); ``field`` is the event field that tells them apart,
    ``value`` what it is here.
    """

    streams: Sequence[str]
    field: str
    value: str


_ABOUT = """
FROM events e WHERE e.position = ANY(ARRAY(
    SELECT position FROM events WHERE stream = ANY(:streams)
    UNION
    SELECT position FROM events
    WHERE correlation_id = ANY(ARRAY(SELECT correlation_id FROM events WHERE stream = CAST(:stream AS text)))
        AND coalesce(data ->> :field, :value) = :value
))
"""


def events(
    connection: Connection,
    catalogue: Catalogue,
    *,
    about: About | None = None,
    type_name: str | None = None,
    limit: int | None = None,
) -> list[Step]:
    """Read recorded events in the order of their recording: the newest so many, of one thing or one type if given."""
    which = "events" if about is None else f"(SELECT e.* {_ABOUT})"
    rows = connection.execute(
        text(
            f"SELECT {COLUMNS} FROM {which} e WHERE CAST(:type AS text) IS NULL OR e.type = :type"
            " ORDER BY e.position DESC LIMIT :limit"
        ),
        {"type": type_name, "limit": limit, **_values(about)},
    ).all()[::-1]
    return [_step(row, event) for row, event in zip(rows, decode(connection, catalogue, rows), strict=True)]


def _values(about: About | None) -> dict[str, Any]:
    if about is None:
        return {}
    return {
        "streams": list(about.streams),
        "stream": about.streams[0],
        "field": about.field,
        "value": about.value,
    }


def _step(row: Any, event: Recorded[Event] | Exception) -> Step:
    known = event.event if isinstance(event, Recorded) else None
    return Step(
        position=row.position,
        id=str(row.id),
        type=row.type,
        version=known.version if known else row.version,
        stream=row.stream,
        sequence=row.sequence,
        recorded_at=row.recorded_at,
        correlation_id=row.correlation_id,
        causation_id=str(row.causation_id) if row.causation_id else None,
        event=known,
    )


def journey(connection: Connection, catalogue: Catalogue, about: About) -> list[Step]:
    """Read every event about something, each with its deliveries."""
    steps = events(connection, catalogue, about=about)
    legs = _legs(connection, [step.position for step in steps])
    return [
        Step(
            **{name: getattr(step, name) for name in Step.__dataclass_fields__ if name != "legs"},
            legs=legs[step.position],
        )
        for step in steps
    ]


def _legs(connection: Connection, positions: Sequence[int]) -> dict[int, list[Leg]]:
    rows = connection.execute(
        text(
            "SELECT d.*, extract(epoch FROM d.started_at - e.recorded_at)::float8 AS waited,"
            " extract(epoch FROM d.done_at - d.started_at)::float8 AS ran"
            " FROM deliveries d JOIN events e ON e.position = d.position WHERE d.position = ANY(:positions)"
            " ORDER BY d.position, coalesce(d.started_at, d.not_before), d.handler"
        ),
        {"positions": list(positions)},
    )
    legs: dict[int, list[Leg]] = {position: [] for position in positions}
    for row in rows:
        last = (row.error or "").strip().splitlines()[-1:]
        legs[row.position].append(
            Leg(
                handler=row.handler,
                state=row.state,
                attempts=row.attempts,
                not_before=row.not_before,
                sent_at=row.dispatched_at,
                started_at=row.started_at,
                done_at=row.done_at,
                wait_seconds=row.waited,
                run_seconds=row.ran,
                error=last[0] if last else None,
            )
        )
    return legs
