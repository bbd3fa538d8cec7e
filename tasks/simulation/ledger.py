"""The shop's own database, as far as a simulation looks into it: what HTTP does not show."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from domain.kernel.unit_of_work import is_conflict, is_connection_loss
from domain.settings import SettingsError

PATIENCE = 60.0
"""Seconds for which a database that is away is waited for."""

_PAUSE = 0.5
_CHUNK = 5000
_COUNT = text("""
SELECT count(*) FILTER (WHERE placed > 0) AS known, count(*) FILTER (WHERE delivered > 1) AS twice FROM (
    SELECT count(*) FILTER (WHERE type = 'OrderPlaced') AS placed,
        count(*) FILTER (WHERE type = 'OrderDelivered') AS delivered
    FROM events WHERE stream = ANY(:streams) GROUP BY stream) e
""")
_ENDED = text("""
SELECT e.outcome, count(*) AS orders FROM order_metrics m JOIN order_outcomes e USING (order_id)
WHERE m.order_time >= :since GROUP BY 1
""")

T = TypeVar("T")


def patiently(do: Callable[[], T], patience: float | None = None) -> T:
    """Do something with the database, again and again while it is away or somebody is in the way."""
    deadline = time.monotonic() + (PATIENCE if patience is None else patience)
    while True:
        try:
            return do()
        except SQLAlchemyError as error:
            if time.monotonic() > deadline or not (is_connection_loss(error) or is_conflict(error)):
                raise
        time.sleep(_PAUSE)


def delivered_twice(order_ids: Sequence[str], patience: float = 0) -> int | None:
    """Count the orders that were delivered more than once; None where this shop's database cannot be looked into."""
    try:
        known, twice = patiently(lambda: _count(order_ids), patience)
    except (SQLAlchemyError, SettingsError):
        return None
    return twice if known or not order_ids else None


def _count(order_ids: Sequence[str]) -> tuple[int, int]:
    from tasks.database import database

    known = twice = 0
    with database().read() as connection:
        for start in range(0, len(order_ids), _CHUNK):
            streams = [f"order-{order_id}" for order_id in order_ids[start : start + _CHUNK]]
            row = connection.execute(_COUNT, {"streams": streams}).one()
            known += row.known
            twice += row.twice
    return known, twice


def placed_at(order_id: str) -> datetime | None:
    """Tell when an order was placed; None where this shop has no such order."""
    from tasks.database import database

    with database().read() as connection:
        return connection.execute(text("SELECT placed_at FROM orders WHERE id = :id"), {"id": order_id}).scalar()


def ended(since: datetime) -> dict[str, int]:
    """Count the orders placed since a time that have ended, by how; nothing while the database is away."""
    from tasks.database import database

    try:
        with database().read() as connection:
            return {row.outcome: row.orders for row in connection.execute(_ENDED, {"since": since})}
    except SQLAlchemyError:
        return {}
