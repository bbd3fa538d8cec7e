"""Finds deliveries whose message the broker lost, and has them sent again."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Engine, text

from domain.kernel.failpoint import FailPoint

LEASE_SECONDS = 30
"""For so long after its dispatch (a retry's: after its not_before) a message is given the benefit of the doubt."""
_PER_HANDLER = 500

_FOUND = FailPoint("relay.found-lost")

# Two numbers: a key of another kind than those by one number, which are left to whoever lives on the bus.
_ALONE = text("SELECT pg_try_advisory_xact_lock(1, 1)")

# Lost, or merely waiting? Lost if its queue was seen empty since, or something dispatched later is done already.
_FIND = text(f"""
WITH lost AS (
    SELECT lost.place
    FROM unnest(CAST(:handlers AS text[]), CAST(:empty AS timestamptz[])) AS h (handler, seen_empty)
    LEFT JOIN LATERAL (
        SELECT dispatched_at AS newest FROM deliveries
        WHERE handler = h.handler AND state = 'done' AND dispatched_at IS NOT NULL ORDER BY dispatched_at DESC LIMIT 1
    ) AS done ON true
    CROSS JOIN LATERAL (
        SELECT ctid AS place FROM deliveries
        WHERE handler = h.handler AND state = 'pending' AND dispatched_at IS NOT NULL
            AND dispatched_at < greatest(h.seen_empty, done.newest)
            AND greatest(dispatched_at, not_before) < now() - interval '{LEASE_SECONDS} seconds'
            AND (claimed_until IS NULL OR claimed_until < now())
        ORDER BY dispatched_at LIMIT {_PER_HANDLER} FOR UPDATE SKIP LOCKED
    ) AS lost
)
UPDATE deliveries SET dispatched_at = NULL, claim = NULL, claimed_until = NULL
WHERE ctid = ANY(ARRAY(SELECT place FROM lost)) RETURNING handler
""")


def lost(engine: Engine, seen_empty: Mapping[str, datetime | None]) -> dict[str, int]:
    """Make lost deliveries due again; gives how many for each handler. ``seen_empty``: when each queue last was."""
    with engine.begin() as connection:
        if not connection.execute(_ALONE).scalar():
            return {}  # another relay sweeps
        found = (
            connection.execute(_FIND, {"handlers": list(seen_empty), "empty": list(seen_empty.values())})
            .scalars()
            .all()
        )
        counted = dict(Counter(found))
        if counted:
            _FOUND.reach()
        return counted
