"""Inside handlers: effects, new events and the deliveries' being done commit together, exactly once."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from domain.kernel import clock
from domain.kernel.event import Recorded
from domain.kernel.failpoint import FailPoint
from domain.kernel.unit_of_work import UnitOfWork, run_after_commit
from tasks.bus import deliveries
from tasks.bus.registry import Handler
from tasks.bus.retry import Wait
from tasks.bus.runner import BUDGET, DatabaseAwayError, Runner, failure_of, log_failure, seconds_of

_HANDLED = FailPoint("inside.handled")
_COMMITTED = FailPoint("inside.committed")


@dataclass(slots=True)
class _Turn:
    """One transaction of a message: the rows of one event type, what is left for the next, and Celery's countdown."""

    rows: list[Row[Any]] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    countdown: float | None = None
    work: UnitOfWork | None = None


class InsideRunner(Runner):
    """Runs a handler's functions, one transaction for each event type in the message."""

    def run(self, handler: Handler, positions: Sequence[int], *, started_before: bool = False) -> float | None:
        """Do what is to be done of these deliveries; ``started_before`` if the broker hands the message out again.

        Gives the seconds after which Celery is to bring the message back, if it should. Raises DatabaseAwayError.
        """
        started = time.monotonic()
        left, counted, ended, countdown = list(positions), set[int](), 0, None
        while left:
            if time.monotonic() - started > BUDGET:
                self.insist(self.give_back, handler, left)
                break
            turn = self._turn_or_fail(handler, left, counted, single=len(positions) == 1, again=started_before)
            left, countdown = turn.left, turn.countdown
            ended += len(turn.rows)
        self.insist(self.note_pace, handler, started, ended)
        return countdown

    def _turn_or_fail(
        self, handler: Handler, positions: Sequence[int], counted: set[int], *, single: bool, again: bool
    ) -> _Turn:
        turn = _Turn()
        try:
            self.insist(self._turn, handler, positions, counted, turn, again)
        except DatabaseAwayError:
            raise
        except Wait as wait:
            seconds = seconds_of(wait)
            self.insist(self._wait, handler, turn, seconds, single)
        except Exception as error:
            if not turn.rows:
                raise
            self.insist(self._fail, handler, turn, error, single)
        else:
            if turn.work:
                run_after_commit(turn.work)
        return turn

    def _turn(self, handler: Handler, positions: Sequence[int], counted: set[int], turn: _Turn, again: bool) -> None:
        turn.rows, turn.left, turn.countdown, turn.work = [], [], None, None
        with self.database.engine.begin() as connection:
            locked = deliveries.lock(connection, handler.name, positions)
            restarted = [row.position for row in locked if (again or row.sends > 1) and row.position not in counted]
            third = any(row.starts for row in locked if row.position in restarted)
            if locked and not restarted:
                self._run_first_type(handler, connection, locked, turn)
                turn.countdown = self._postpone(handler, turn, single=len(positions) == 1)
                _HANDLED.reach()
        if turn.rows:
            _COMMITTED.reach()
        if restarted:  # counted in a transaction of its own, so that what kills the worker now is known
            if third and len(positions) > 1:  # one of them may be poison: the others are not to share its end
                gone = self.take_apart(handler, restarted)
            else:
                gone = self.count_start(handler, restarted)
            counted.update(restarted)  # a conflict runs the turn again, and then they are not counted yet
            turn.left = [position for position in positions if position not in gone]

    def _run_first_type(self, handler: Handler, connection: Any, locked: Sequence[Row[Any]], turn: _Turn) -> None:
        turn.rows = [row for row in locked if row.type == locked[0].type]
        turn.left = [row.position for row in locked if row.type != locked[0].type]
        subscription = handler.subscriptions.get(locked[0].type)
        if subscription is None:
            raise LookupError(f"{handler.name} has no function for {locked[0].type}.")
        events = self.decode(connection, turn.rows, personal=subscription.personal)
        readable = [event for event in events if isinstance(event, Recorded)]
        if len(readable) < len(events):
            raise next(event for event in events if isinstance(event, Exception))
        turn.work = self.database.unit_of_work(connection, causes=readable)
        subscription.function([event.event for event in readable], turn.work)
        turn.work.flush()
        finished = [row.position for row in turn.rows if row.position not in turn.work.postponed]
        deliveries.done(connection, handler.name, finished)

    def _wait(self, handler: Handler, turn: _Turn, seconds: float, single: bool) -> None:
        turn.countdown = self._due_again(handler, turn.rows, seconds=seconds, single=single)

    def _postpone(self, handler: Handler, turn: _Turn, *, single: bool) -> float | None:
        """Have what the handler postponed delivered again; gives the countdown for Celery, if it is to hold it."""
        work = turn.work
        if work is None or not work.postponed:
            return None
        now = clock.now()
        countdown = None
        at: dict[datetime, list[int]] = {}
        for position, until in work.postponed.items():
            at.setdefault(until, []).append(position)
        for until, positions in at.items():
            seconds = max(0.0, (until - now).total_seconds())
            hold = positions[0] in work.by_retry and self.may_hold(seconds, single=single)
            deliveries.due_again(work.connection, handler.name, positions, seconds=seconds, in_broker=hold)
            countdown = seconds if hold else None
        return countdown

    def _fail(self, handler: Handler, turn: _Turn, error: Exception, single: bool) -> None:
        """Write a failure down: a batch is taken apart to find out whose it is, an attempt of one is counted."""
        if len(turn.rows) > 1:
            with self.database.engine.begin() as connection:
                deliveries.due_again(connection, handler.name, [row.position for row in turn.rows], alone=True)
            return
        row = turn.rows[0]
        failure = failure_of(handler, row, error)
        log_failure(handler, row, error, failure)
        if failure.pause is None:
            with self.database.engine.begin() as connection:
                deliveries.park(connection, handler.name, [row.position], failure.text)
        else:
            turn.countdown = self._due_again(
                handler, turn.rows, seconds=failure.pause, failure=failure.text, single=single
            )

    def _due_again(
        self,
        handler: Handler,
        rows: Sequence[Row[Any]],
        *,
        seconds: float = 0,
        failure: str | None = None,
        single: bool = False,
    ) -> float | None:
        """Have deliveries tried again; gives the countdown for Celery, or None where the relay sends them."""
        hold = self.may_hold(seconds, single=single)
        with self.database.engine.begin() as connection:
            positions = [row.position for row in rows]
            deliveries.due_again(connection, handler.name, positions, seconds=seconds, failure=failure, in_broker=hold)
        return seconds if hold else None
