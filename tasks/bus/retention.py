"""Lets go of done deliveries: the ledger stays as small as what is going on, while the log keeps every event."""

from datetime import timedelta

from sqlalchemy import Engine, text

EVENTS_AT_ONCE = 1000
"""Events whose deliveries go in one step: some 3,000 rows, a few milliseconds."""

# The row is the lock: another relay that purges now is left alone.
_FROM = text("SELECT purged_to FROM retention FOR UPDATE SKIP LOCKED")
_UP_TO = text("""
SELECT max(position) FROM (
    SELECT position, recorded_at FROM events WHERE position > :purged_to ORDER BY position LIMIT :step
) next WHERE recorded_at < now() - CAST(:keep AS interval)
""")
_DELETE = text("""
DELETE FROM deliveries WHERE position > :purged_to AND position <= :up_to AND state = 'done'
""")
_NOTE = text("UPDATE retention SET purged_to = :up_to")


def purge(engine: Engine, keep: timedelta) -> int:
    """Delete the done deliveries of the oldest events, if those are older than ``keep``; gives how many.

    One small step, to be repeated. What is pending, parked or discarded stays, however old it is:
    a replay leaves out what was discarded, and must know it.
    """
    with engine.begin() as connection:
        purged_to = connection.execute(_FROM).scalar()
        if purged_to is None:
            return 0
        values = {"purged_to": purged_to, "step": EVENTS_AT_ONCE, "keep": keep}
        values["up_to"] = connection.execute(_UP_TO, values).scalar()
        if values["up_to"] is None:
            return 0
        deleted = connection.execute(_DELETE, values).rowcount
        connection.execute(_NOTE, values)
    return int(deleted)
