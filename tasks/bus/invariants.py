"""What must be true of the log and the ledger of deliveries, whatever the events are about."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from domain.kernel.invariant import Invariant

# A subscription is written in a transaction of at most 35 s, and `since` is when that began: an event recorded later
# than that was surely fanned out with it in sight. So was every event behind the first that went to this handler.
# Events whose finished deliveries were let go are not judged.
_UNDELIVERED = """
WITH firsts AS (
    SELECT s.event_type, s.handler, s.since, min(d.position) AS position
    FROM subscriptions s JOIN events e ON e.type = s.event_type AND e.data @> s.condition AND e.recorded_at >= s.since
    JOIN deliveries d ON d.position = e.position AND d.handler = s.handler GROUP BY 1, 2, 3
)
SELECT e.type || ' ' || e.position || ' never went to ' || s.handler
FROM subscriptions s
JOIN events e ON e.type = s.event_type AND e.data @> s.condition
LEFT JOIN firsts f ON f.event_type = s.event_type AND f.handler = s.handler
WHERE (e.position > f.position OR e.recorded_at > s.since + interval '35 seconds')
    AND e.position > (SELECT purged_to FROM retention)
    AND NOT EXISTS (SELECT FROM deliveries d WHERE d.position = e.position AND d.handler = s.handler)
    AND NOT EXISTS (SELECT FROM outbox o WHERE o.position = e.position)
"""

INVARIANTS = (
    Invariant(
        "Every stream is numbered 1 to n without a gap",
        "SELECT stream || ' has ' || count(*) || ' events, numbered ' || min(sequence) || ' to ' || max(sequence)"
        " FROM events GROUP BY stream"
        " HAVING min(sequence) <> 1 OR max(sequence) <> count(*) OR count(DISTINCT sequence) <> count(*)",
    ),
    Invariant(
        "Every cause is an earlier event, so causation has no cycle",
        "SELECT e.type || ' ' || e.position"
        " || coalesce(' was caused by the later ' || c.position, ' has an unknown cause')"
        " FROM events e LEFT JOIN events c ON c.id = e.causation_id"
        " WHERE e.causation_id IS NOT NULL AND (c.position IS NULL OR c.position >= e.position)",
    ),
    Invariant("Every event went to every handler subscribed to it", _UNDELIVERED),
    Invariant(
        "What is done says when, and what is parked says why",
        "SELECT handler || ' ' || position FROM deliveries"
        " WHERE (state = 'done' AND done_at IS NULL) OR (state = 'parked' AND coalesce(error, '') = '')",
    ),
)


@dataclass(frozen=True, slots=True)
class Pending:
    """What the bus still has to do: events to fan out, and deliveries by handler."""

    outbox: int
    deliveries: Mapping[str, int]
    parked: int
    later: int
    """Deliveries that are not due before the horizon: they wait on purpose."""

    @property
    def quiet(self) -> bool:
        """Whether nothing is left to be done within the horizon."""
        return not self.outbox and not self.deliveries


def pending(connection: Connection, horizon_seconds: float) -> Pending:
    """Look what is on its way, or will be due within so many seconds."""
    rows = connection.execute(
        text(
            "SELECT handler, count(*) AS number,"
            " dispatched_at IS NOT NULL OR not_before <= now() + make_interval(secs => :horizon) AS soon"
            " FROM deliveries WHERE state = 'pending' GROUP BY 1, 3 ORDER BY 1"
        ),
        {"horizon": max(0.0, horizon_seconds)},
    ).all()
    outbox, parked = connection.execute(
        text("SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM deliveries WHERE state = 'parked')")
    ).one()
    return Pending(
        outbox,
        {row.handler: row.number for row in rows if row.soon},
        parked,
        sum(row.number for row in rows if not row.soon),
    )
