"""Switches a gateway over while everything runs: real, or faulty, whatever the environment says."""

import time

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.kernel.unit_of_work import UnitOfWork
from tasks.database import database

_FRESH = 0.5
_read: dict[str, tuple[float, str | None]] = {}


def mode(gateway: str, configured: str) -> str:
    """Give the mode a gateway works in: what it was switched to in the last half second, or what is configured."""
    at, switched = _read.get(gateway, (0.0, None))
    if time.monotonic() - at > _FRESH:
        try:
            with database().read() as connection:
                switched = connection.execute(
                    text("SELECT mode FROM switches WHERE gateway = :gateway"), {"gateway": gateway}
                ).scalar()
        except DBAPIError:  # the database is away for a moment: that is no reason to fail a call outside
            return switched or configured
        _read[gateway] = (time.monotonic(), switched)
    return switched or configured


def switch(work: UnitOfWork, gateway: str, to: str | None) -> None:
    """Switch a gateway to a mode, or back to what is configured."""
    work.run("DELETE FROM switches WHERE gateway = :gateway", gateway=gateway)
    if to:
        work.run("INSERT INTO switches (gateway, mode) VALUES (:gateway, :mode)", gateway=gateway, mode=to)
