"""Dead letters: deliveries that were parked, to be tried again or given up for good. Every such decision is audited."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from domain.kernel.event import Catalogue, Event, Recorded
from domain.kernel.log import COLUMNS, decode
from domain.kernel.unit_of_work import Database

_BATCH = 500
_LAST_LINE = "coalesce(substring(rtrim(d.error, E' \\n\\r\\t') from '[^\\n]*$'), '')"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of the parked deliveries are meant: all that fit every field given."""

    handler: str | None = None
    position: int | None = None
    error: str | None = None
    """The last line of the error, as a group shows it."""

    @property
    def sql(self) -> str:
        """Condition on ``deliveries d``."""
        return (
            "d.state = 'parked' AND (CAST(:handler AS text) IS NULL OR d.handler = :handler)"
            " AND (CAST(:position AS bigint) IS NULL OR d.position = :position)"
            f" AND (CAST(:error AS text) IS NULL OR {_LAST_LINE} = :error)"
        )

    @property
    def values(self) -> dict[str, Any]:
        """What the condition names."""
        return {"handler": self.handler, "position": self.position, "error": self.error}


@dataclass(frozen=True, slots=True)
class Group:
    """Parked deliveries of one handler that end in the same line."""

    handler: str
    error: str
    number: int
    oldest: datetime
    """When the oldest of their events was recorded."""
    positions: Sequence[int]
    """The first few of them."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One parked delivery with its event; ``event`` is None where this code cannot read it."""

    position: int
    handler: str
    type: str
    stream: str
    correlation_id: str
    recorded_at: datetime
    parked_at: datetime | None
    attempts: int
    starts: int
    error: str
    event: Recorded[Event] | None


def groups(connection: Connection, chosen: Chosen) -> list[Group]:
    """Give what is parked by handler and last error line, the largest group first."""
    rows = connection.execute(
        text(
            f"SELECT d.handler, {_LAST_LINE} AS error, count(*) AS number, min(e.recorded_at) AS oldest,"
            " (array_agg(d.position ORDER BY d.position))[1:5] AS positions"
            f" FROM deliveries d JOIN events e ON e.position = d.position WHERE {chosen.sql}"
            " GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
        ),
        chosen.values,
    )
    return [Group(row.handler, row.error, row.number, row.oldest, tuple(row.positions)) for row in rows]


def letter(connection: Connection, catalogue: Catalogue, position: int, handler: str) -> Letter | None:
    """Give one parked delivery, or None where there is none."""
    row = connection.execute(
        text(
            "SELECT d.handler, d.attempts, d.starts, d.error, d.done_at,"
            f" {COLUMNS} FROM deliveries d JOIN events e ON e.position = d.position WHERE {Chosen().sql}"
            " AND d.position = :at AND d.handler = :by"
        ),
        {**Chosen().values, "at": position, "by": handler},
    ).one_or_none()
    if row is None:
        return None
    (event,) = decode(connection, catalogue, [row])
    return Letter(
        position=row.position,
        handler=row.handler,
        type=row.type,
        stream=row.stream,
        correlation_id=row.correlation_id,
        recorded_at=row.recorded_at,
        parked_at=row.done_at,
        attempts=row.attempts,
        starts=row.starts,
        error=row.error or "",
        event=event if isinstance(event, Recorded) else None,
    )


def count(connection: Connection, chosen: Chosen) -> int:
    """Count the parked deliveries that are meant."""
    return int(
        connection.execute(
            text(f"SELECT count(*) FROM deliveries d WHERE {chosen.sql}"),
            chosen.values,
        ).scalar_one()
    )


# Sent alone, so that it harms nobody should it fail again; its attempts and starts begin anew.
_RETRY = (
    "state = 'pending', not_before = now(), dispatched_at = NULL, sends = 0, starts = 0, attempts = 0, alone = true,"
    " claim = NULL, claimed_until = NULL, done_at = NULL"
)
_DISCARD = "state = 'discarded', done_at = now()"


def retry(database: Database, chosen: Chosen, who: str, progress: Callable[[int], None] = lambda _: None) -> int:
    """Make parked deliveries due at once; gives how many. ``progress`` is told how many each transaction has done."""
    return _act(database, chosen, "retry", _RETRY, who, None, progress)


def discard(
    database: Database, chosen: Chosen, who: str, reason: str, progress: Callable[[int], None] = lambda _: None
) -> int:
    """Give parked deliveries up for good, for a reason; gives how many."""
    return _act(database, chosen, "discard", _DISCARD, who, reason, progress)


def _act(
    database: Database,
    chosen: Chosen,
    action: str,
    change: str,
    who: str,
    reason: str | None,
    progress: Callable[[int], None],
) -> int:
    """Change some hundred at a time, each with its line in the audit; what is parked meanwhile is left alone."""
    sql = text(
        f"WITH meant AS (SELECT position, handler FROM deliveries d WHERE {chosen.sql}"
        "  AND coalesce(d.done_at, '-infinity') <= :until"
        f"  ORDER BY d.handler, d.position LIMIT {_BATCH} FOR UPDATE SKIP LOCKED),"
        f" changed AS (UPDATE deliveries d SET {change} FROM meant m"
        "  WHERE d.position = m.position AND d.handler = m.handler RETURNING d.position, d.handler)"
        " INSERT INTO audit (who, action, position, handler, reason)"
        " SELECT :who, :action, position, handler, :reason FROM changed"
    )
    with database.read() as connection:
        until = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    total = 0
    while True:
        with database.engine.begin() as connection:
            number = connection.execute(
                sql, {**chosen.values, "until": until, "who": who, "action": action, "reason": reason}
            ).rowcount
        total += number
        progress(number)
        if number < _BATCH:
            return total
