"""The wholesaler around the corner: brings on a played day what the shop has ordered on it."""

from contextlib import suppress
from datetime import datetime
from functools import partial

from sqlalchemy import text

from domain import procurement
from domain.procurement import ReceivedBeforeError
from tasks.database import database
from tasks.simulation.ledger import patiently

_WHO = "simulate"
_OPEN = text("SELECT id FROM purchases WHERE state = 'open' AND ordered_at >= :since ORDER BY id")


def bring(since: datetime) -> None:
    """Bring what was ordered since a time and is not there yet; earlier purchases are no business of this day."""
    for purchase in patiently(lambda: _ordered(since)):
        with suppress(ReceivedBeforeError):  # by somebody of the staff, or the answer to our commit was lost
            patiently(partial(_receive, purchase))


def _ordered(since: datetime) -> list[int]:
    with database().read() as connection:
        return list(connection.execute(_OPEN, {"since": since}).scalars())


def _receive(purchase: int) -> None:
    with database().begin(_WHO) as work:
        procurement.receive(work, purchase, _WHO)
