"""Runs a handler for the deliveries that a message names."""

import math
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row

from domain.kernel import log
from domain.kernel.event import Catalogue, Event, Recorded
from domain.kernel.unit_of_work import Database, is_conflict, is_connection_loss
from tasks.bus import deliveries
from tasks.bus.registry import Handler
from tasks.bus.retry import Permanent, Wait, spread

BUDGET = 5.0
"""Seconds of work for one message; what is left then becomes due again at once."""
LONGEST_COUNTDOWN = 30.0
"""Seconds that a message may stay with the broker for a retry; below every lease and the visibility timeout."""

MESSAGE_OVERHEAD = 0.02
"""Seconds that a message costs whatever is in it; not counted in the pace, or small messages would keep small."""

PATIENCE = 15.0
"""Seconds for which a transaction waits for the database, with a message in the worker's hand."""

_PACE_EVERY = 2.0

logger = structlog.get_logger(__name__)


class DatabaseAwayError(Exception):
    """The database does not answer, or lets nothing through: nobody's attempt, to be run again."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt of one delivery: what to write down, and in how many seconds to try again (None: never)."""

    text: str
    pause: float | None


def failure_of(handler: Handler, row: Row[Any], error: BaseException) -> Failure:
    """Judge a failed attempt by the handler's retry policy."""
    permanent = isinstance(error, Permanent)
    pause = None if permanent else handler.retry_for(row.type).pause(row.attempts + 1)
    return Failure(describe(error), pause)


def describe(error: BaseException) -> str:
    """Give an error's traceback, its last 8,000 characters."""
    return "".join(traceback.format_exception(error))[-8000:]


class Runner:
    """What the two kinds of runner share: the database, conflicts that are run again, and the pace."""

    def __init__(self, database: Database, catalogue: Catalogue, *, holds_countdowns: bool) -> None:
        """``holds_countdowns``: whether a retry may wait at the broker without blocking a worker."""
        self.database = database
        self.catalogue = catalogue
        self._holds_countdowns = holds_countdowns
        self._paced: dict[str, float] = {}

    def decode(self, connection: Any, rows: Sequence[Row[Any]], *, personal: bool) -> list[Recorded[Event] | Exception]:
        """Make events of locked deliveries."""
        return log.decode(connection, self.catalogue, rows, personal=personal)

    def insist(self, step: Callable[..., None], *args: Any) -> None:
        """Run a transaction again while others are in its way or the database is away. Raises DatabaseAwayError.

        What it has counted or called before stays so: nothing is begun anew but the transaction.
        """
        until = time.monotonic() + PATIENCE
        for attempt in count():
            try:
                step(*args)
                return
            except Exception as error:
                conflict = is_conflict(error)
                if not conflict and not is_connection_loss(error):
                    raise
                if time.monotonic() > until:
                    raise DatabaseAwayError(type(error).__name__) from error
            longest = 0.01 * 2 ** min(attempt, 6) if conflict else min(2.0, 0.1 * 2**attempt)
            time.sleep(spread(longest))

    def count_start(self, handler: Handler, positions: Sequence[int]) -> list[int]:
        """Commit one more start of deliveries that were sent before without an answer; gives the poison among them."""
        with self.database.engine.begin() as connection:
            return deliveries.count_start(connection, handler.name, positions)

    def take_apart(self, handler: Handler, positions: list[int]) -> list[int]:
        """Have deliveries that were started twice in one message sent again, each alone; gives them."""
        with self.database.engine.begin() as connection:
            deliveries.take_apart(connection, handler.name, positions)
        return positions

    def may_hold(self, pause: float, *, single: bool) -> bool:
        """Tell whether Celery is to hold the message until it is tried again, rather than the relay."""
        return single and self._holds_countdowns and pause <= LONGEST_COUNTDOWN

    def note_pace(self, handler: Handler, started: float, events: int) -> None:
        """Write the time per event down, now and then."""
        now = time.monotonic()
        if events and now - self._paced.get(handler.name, 0) > _PACE_EVERY:
            self._paced[handler.name] = now
            with self.database.engine.begin() as connection:
                deliveries.note_pace(connection, handler.name, max(0.0, now - started - MESSAGE_OVERHEAD) / events)

    def give_back(self, handler: Handler, positions: Sequence[int], claim: UUID | None = None) -> None:
        """Make deliveries due at once: the message's time is up."""
        with self.database.engine.begin() as connection:
            deliveries.due_again(connection, handler.name, positions, claim=claim)


def log_failure(handler: Handler, row: Row[Any], error: BaseException, failure: Failure) -> None:
    """Write one line about a failed attempt; the error's text stays in the ledger, since it may be personal."""
    logger.error(
        "handler_failed",
        handler=handler.name,
        event_type=row.type,
        stream=row.stream,
        correlation_id=row.correlation_id,
        attempt=row.attempts + 1,
        error=type(error).__name__,
        parked=failure.pause is None,
    )


def seconds_of(wait: Wait) -> float:
    """Give how long to wait, to the next tenth, so that what waits for one moment is written down together."""
    return max(0.0, math.ceil(wait.seconds * 10) / 10)
