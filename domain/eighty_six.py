"""86: pizzas that are taken off the menu by hand, until the next day begins in the shop's time zone."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from domain.kernel import clock
from domain.kernel.unit_of_work import UnitOfWork
from domain.settings import Settings


class UnknownPizzaError(Exception):
    """There is no such pizza."""


def off_today(connection: Connection) -> dict[str, datetime]:
    """Give the pizzas that are off by hand, and until when."""
    rows = connection.execute(
        text("SELECT id, off_until FROM pizzas WHERE off_until > :now ORDER BY rank"), {"now": clock.now()}
    )
    return {row.id: row.off_until for row in rows}


def take_off(work: UnitOfWork, pizza_id: str, settings: Settings) -> datetime:
    """Take a pizza off the menu for the rest of the day; gives when it is back. Raises UnknownPizzaError."""
    until = tomorrow(clock.now(), ZoneInfo(settings.timezone))
    _set(work, pizza_id, "off_until = :until", until)
    return until


def bring_back(work: UnitOfWork, pizza_id: str) -> None:
    """Put a pizza back on the menu, for as long as the store has what it takes. Raises UnknownPizzaError."""
    _set(work, pizza_id, "off_until = :until, sold_out = false", None)


def tomorrow(now: datetime, zone: ZoneInfo) -> datetime:
    """Give the moment at which the next day begins there."""
    return datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time.min, zone)


def _set(work: UnitOfWork, pizza_id: str, change: str, until: datetime | None) -> None:
    found = work.run(f"UPDATE pizzas SET {change} WHERE id = :id RETURNING id", id=pizza_id, until=until).scalar()
    if found is None:
        raise UnknownPizzaError(f"No pizza is called {pizza_id}.")
