"""From the outbox to deliveries, and from due deliveries to those on their way: the relay's SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, text

from domain.kernel.failpoint import FailPoint

FAN_OUT = 500
"""Events that are fanned out in one transaction."""
_DISPATCH = 4000

_EXPANDED = FailPoint("relay.expanded")
_FANNED_OUT = FailPoint("relay.fanned-out")

# Rows are taken, never followed by number: events commit in another order than they are numbered.
_TAKE = text("""
DELETE FROM outbox WHERE position = ANY(ARRAY(
    SELECT position FROM outbox ORDER BY position LIMIT :limit FOR UPDATE SKIP LOCKED
)) RETURNING position
""")

_READ = text("SELECT position, stream, sequence FROM events WHERE position = ANY(:positions) ORDER BY position")

_EXPAND = text("""
INSERT INTO deliveries (position, handler, dispatched_at, sends)
SELECT e.position, s.handler, CASE WHEN s.handler = ANY(:open) THEN now() END,
    CASE WHEN s.handler = ANY(:open) THEN 1 ELSE 0 END
FROM events e JOIN subscriptions s ON s.event_type = e.type AND e.data @> s.condition
WHERE e.position = ANY(:positions)
ORDER BY e.position, s.handler
RETURNING position, handler, alone, dispatched_at IS NOT NULL AS sent
""")

# By place (ctid), as good as a key for rows that are locked: whatever the planner believes, it can neither read the
# whole table nor look for each row among all the others.
_DISPATCH_DUE = text("""
WITH due AS (
    SELECT due.place
    FROM unnest(CAST(:handlers AS text[]), CAST(:rooms AS int[]), CAST(:least AS int[])) AS h (handler, room, least)
    CROSS JOIN LATERAL (
        SELECT ctid AS place FROM deliveries
        WHERE handler = h.handler AND state = 'pending' AND dispatched_at IS NULL AND not_before <= now()
            AND (h.least = 1 OR EXISTS (
                SELECT FROM deliveries WHERE handler = h.handler AND state = 'pending' AND dispatched_at IS NULL
                    AND not_before <= now() OFFSET h.least - 1
            ))
        ORDER BY not_before, position LIMIT h.room FOR UPDATE SKIP LOCKED
    ) due
)
UPDATE deliveries SET dispatched_at = now(), sends = sends + 1 WHERE ctid = ANY(ARRAY(SELECT place FROM due))
RETURNING position, handler, alone
""")


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery to be sent now."""

    position: int
    handler: str
    alone: bool


_LOOK = text("""
SELECT EXISTS (SELECT FROM outbox) AS events, EXISTS (
    SELECT FROM unnest(CAST(:handlers AS text[])) AS h (handler) CROSS JOIN LATERAL (
        SELECT FROM deliveries
        WHERE handler = h.handler AND state = 'pending' AND dispatched_at IS NULL AND not_before <= now() LIMIT 1
    ) due
) AS due
""")


def look(engine: Engine, handlers: Sequence[str]) -> tuple[bool, bool]:
    """Tell whether there are events to fan out, and deliveries due: one cheap question, asked fifty times a second."""
    with engine.connect() as connection:
        events, due = connection.execute(_LOOK, {"handlers": list(handlers)}).one()
    return bool(events), bool(due)


@dataclass(frozen=True, slots=True)
class Room:
    """Events that may be sent to one handler now: at most ``room``, and nothing before there are ``least``."""

    handler: str
    room: int
    least: int


def fan_out(engine: Engine, open_handlers: Sequence[str]) -> tuple[list[tuple[str, int]], list[Due]]:
    """Turn outbox rows into deliveries, one for each subscriber, in one transaction.

    Those of ``open_handlers`` are marked as sent already. Gives (stream, sequence) of each event, and what to send.
    """
    with engine.begin() as connection:
        taken = list(connection.execute(_TAKE, {"limit": FAN_OUT}).scalars().all())
        if not taken:
            return [], []
        events = connection.execute(_READ, {"positions": taken}).all()
        rows = connection.execute(
            _EXPAND,
            {
                "positions": taken,
                "open": list(open_handlers),
            },
        ).all()
        _EXPANDED.reach()
    _FANNED_OUT.reach()
    return (
        [(event.stream, event.sequence) for event in events],
        [Due(row.position, row.handler, row.alone) for row in rows if row.sent],
    )


def dispatch(engine: Engine, rooms: Sequence[Room]) -> list[Due]:
    """Mark as sent what is due, for each handler as many events as it has room for; gives them in order."""
    if not rooms:
        return []
    with engine.begin() as connection:
        rows = connection.execute(
            _DISPATCH_DUE,
            {
                "handlers": [room.handler for room in rooms],
                "rooms": [min(room.room, _DISPATCH) for room in rooms],
                "least": [room.least for room in rooms],
            },
        ).all()
    return sorted((Due(*row) for row in rows), key=lambda due: due.position)


def take_back(engine: Engine, due: Sequence[Due]) -> None:
    """Unmark deliveries that could not be sent after all. Should a message have got through, its copy does nothing."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE deliveries d SET dispatched_at = NULL, sends = greatest(d.sends - 1, 0)"
                " FROM unnest(CAST(:positions AS bigint[]), CAST(:handlers AS text[])) AS t (position, handler)"
                " WHERE d.position = t.position AND d.handler = t.handler AND d.state = 'pending'"
            ),
            {"positions": [d.position for d in due], "handlers": [d.handler for d in due]},
        )


def paces(engine: Engine) -> tuple[datetime, dict[str, float | None]]:
    """Give the database's time, and the seconds per event of each subscribed handler (None: never measured)."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT clock_timestamp() AS now, h.handler, p.seconds_per_event"
                " FROM (SELECT DISTINCT handler FROM subscriptions) h LEFT JOIN paces p ON p.handler = h.handler"
            )
        ).all()
    return (rows[0].now if rows else datetime.now(UTC)), {row.handler: row.seconds_per_event for row in rows}


# Each half walks one partial index from handler to handler, so it costs the same however many rows there are.
_WALK = """
(WITH RECURSIVE h AS (
    (SELECT handler FROM deliveries WHERE state = 'pending' AND dispatched_at IS {0} ORDER BY handler LIMIT 1)
    UNION ALL
    SELECT (
        SELECT handler FROM deliveries WHERE state = 'pending' AND dispatched_at IS {0} AND handler > h.handler
        ORDER BY handler LIMIT 1
    ) FROM h WHERE h.handler IS NOT NULL
) SELECT handler FROM h WHERE handler IS NOT NULL)"""
_ORPHANED = text(
    f"(SELECT * FROM {_WALK.format('NULL')} AS due UNION SELECT * FROM {_WALK.format('NOT NULL')} AS sent)"
    " EXCEPT SELECT handler FROM subscriptions"
)


def park_orphans(engine: Engine) -> None:
    """Park what is still pending for a handler that was removed, rather than leave it for ever; some at a time."""
    with engine.begin() as connection:
        for handler in connection.execute(_ORPHANED).scalars().all():
            connection.execute(
                text(
                    "UPDATE deliveries SET state = 'parked', done_at = now(), error = 'Its handler was removed.'"
                    " WHERE handler = :handler AND position IN ("
                    " SELECT position FROM deliveries WHERE state = 'pending' AND handler = :handler LIMIT :some)"
                ),
                {"handler": handler, "some": _DISPATCH},
            )
