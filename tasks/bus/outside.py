"""Outside handlers: claimed, called with no transaction open, and written down where the claim still holds."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row

from domain.kernel.event import Event, Recorded
from domain.kernel.failpoint import FailPoint
from domain.kernel.unit_of_work import is_connection_loss
from tasks.bus import deliveries
from tasks.bus.registry import Answer, Call, Handler
from tasks.bus.retry import Wait
from tasks.bus.runner import (
    BUDGET,
    DatabaseAwayError,
    Runner,
    describe,
    failure_of,
    log_failure,
    logger,
    seconds_of,
)

FLUSH_AFTER = 0.05
"""Seconds for which answers are collected before they are written down together."""

_DATABASE_SECONDS = 1.0

_DONE = frozenset({"done", "held back"})

_CLAIMED = FailPoint("outside.claimed")
_CALLED = FailPoint("outside.called")
_ANSWERED = FailPoint("outside.answered")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One call's outcome, not yet written down; one that waits, or has no answer, is tried again uncounted."""

    row: Row[Any]
    event: Recorded[Event] | None
    answer: Answer | None
    pause: float | None = None


@dataclass(slots=True)
class _Message:
    """The deliveries of one message, under one claim."""

    token: UUID
    single: bool
    again: bool
    started: float = field(default_factory=time.monotonic)
    rows: Sequence[Row[Any]] = ()
    events: Sequence[Recorded[Event] | Exception] = ()
    calls: Sequence[Call] = ()
    held_back: Mapping[str, str | Wait] = field(default_factory=dict)
    unanswerable: Exception | None = None
    unwritten: list[_Outcome] = field(default_factory=list)
    countdown: float | None = None


class OutsideRunner(Runner):
    """Runs a handler's function for one event after another."""

    def run(self, handler: Handler, positions: Sequence[int], *, started_before: bool = False) -> float | None:
        """Do what is to be done of these deliveries; ``started_before`` if the broker hands the message out again.

        Gives the seconds after which Celery is to bring the message back, if it should. Raises DatabaseAwayError.
        """
        message = _Message(uuid4(), single=len(positions) == 1, again=started_before)
        self._claim_or_fail(handler, positions, message)
        _CLAIMED.reach()
        flushed = message.started
        for index, (row, event, call) in enumerate(zip(message.rows, message.events, message.calls, strict=True)):
            if time.monotonic() - message.started > BUDGET:
                self.insist(self.give_back, handler, [row.position for row in message.rows[index:]], message.token)
                break
            why_not = message.held_back.get(call.key)
            if isinstance(why_not, Wait):  # it was postponed when the others were claimed
                continue
            if message.unanswerable:
                message.unwritten.append(self._failed(handler, row, event, call, message.unanswerable))
            else:
                message.unwritten.append(self._call(handler, row, event, call, why_not))
            if time.monotonic() - flushed > FLUSH_AFTER:
                self._write_down(handler, message)
                flushed = time.monotonic()
        self._write_down(handler, message)
        self.insist(self.note_pace, handler, message.started, len(message.rows))
        return message.countdown

    def _claim_or_fail(self, handler: Handler, positions: Sequence[int], message: _Message) -> None:
        """Claim the deliveries. Where the handler cannot tell what to hold back, that is the failure of one alone."""
        try:
            self.insist(self._claim, handler, positions, message)
        except DatabaseAwayError:
            raise
        except Exception as error:
            if handler.hold_back is None:
                raise
            message.unanswerable = error
            self.insist(self._claim if message.single else self._send_each_alone, handler, positions, message)

    def _send_each_alone(self, handler: Handler, positions: Sequence[int], message: _Message) -> None:
        """Have the deliveries of a message sent again, each alone, to find out whose failure it is."""
        with self.database.engine.begin() as connection:
            rows = deliveries.lock(connection, handler.name, positions)
            deliveries.due_again(connection, handler.name, [row.position for row in rows], alone=True)
        message.rows, message.events, message.calls = (), (), ()

    def _claim(self, handler: Handler, positions: Sequence[int], message: _Message) -> None:
        """Claim the deliveries; one that was started before without an answer is counted, at last parked."""
        poison: list[Row[Any]] = []
        with self.database.engine.begin() as connection:
            rows = deliveries.lock(connection, handler.name, positions)
            again = [row.position for row in rows if message.again or row.sends > 1]
            parked = set(deliveries.count_start(connection, handler.name, again))
            poison = [row for row in rows if row.position in parked]
            message.rows = [row for row in rows if row.position not in parked]
            message.events = self.decode(connection, message.rows, personal=handler.personal)
            message.calls = [self._key(handler, row) for row in message.rows]
            if handler.hold_back and not message.unanswerable:
                due = zip(message.events, message.calls, strict=True)
                message.held_back = handler.hold_back(
                    [(event, call) for event, call in due if not isinstance(event, Exception)], connection
                )
            ready = self._postpone(handler, connection, message)
            deliveries.claim(connection, handler.name, ready, message.token)
            outcomes = [self._poisoned(handler, connection, row) for row in poison]
        if outcomes:
            self._settle_poison(handler, outcomes)

    @staticmethod
    def _postpone(handler: Handler, connection: Any, message: _Message) -> list[int]:
        """Leave to the relay, which gathers it, what the handler has wait; gives the positions of the others."""
        ready: list[int] = []
        waiting: dict[float, list[int]] = {}
        for row, call in zip(message.rows, message.calls, strict=True):
            why_not = message.held_back.get(call.key)
            those = waiting.setdefault(seconds_of(why_not), []) if isinstance(why_not, Wait) else ready
            those.append(row.position)
        for seconds, positions in waiting.items():
            deliveries.due_again(connection, handler.name, positions, seconds=seconds)
        return ready

    def _settle_poison(self, handler: Handler, outcomes: Sequence[_Outcome]) -> None:
        """Let the handler write its rows about poison; it is parked already, whatever comes of this."""
        try:
            with self.database.engine.begin() as connection:
                self._settle(handler, connection, outcomes)
        except Exception as error:
            logger.error("settling_failed", handler=handler.name, error=type(error).__name__)

    def _poisoned(self, handler: Handler, connection: Any, row: Row[Any]) -> _Outcome:
        (event,) = self.decode(connection, [row], personal=handler.personal)
        if isinstance(event, Exception):
            return _Outcome(row, None, None)
        answer = Answer(event.event, self._key(handler, row), "parked", error=deliveries.POISON)
        return _Outcome(row, event, answer)

    @staticmethod
    def _key(handler: Handler, row: Row[Any]) -> Call:
        return Call(f"{row.id}:{handler.name}", row.attempts + 1)

    def _call(
        self, handler: Handler, row: Row[Any], event: Recorded[Event] | Exception, call: Call, why_not: str | None
    ) -> _Outcome:
        """Call outside for one event, unless it is held back; whatever comes of it is an outcome."""
        if isinstance(event, Exception):
            return self._failed(handler, row, event, call, event)
        if why_not:
            return _Outcome(row, event, Answer(event.event, call, "held back", result=why_not))
        try:
            result = handler.subscriptions[row.type].function(event.event, call)
        except Wait as wait:
            return _Outcome(row, event, Answer(event.event, call, "waiting"), seconds_of(wait))
        except Exception as error:
            if is_connection_loss(error):  # our own database is away: nobody's attempt
                return _Outcome(row, None, None, _DATABASE_SECONDS)
            return self._failed(handler, row, event, call, error)
        _CALLED.reach()
        return _Outcome(row, event, Answer(event.event, call, "done", result=result))

    @staticmethod
    def _failed(
        handler: Handler, row: Row[Any], event: Recorded[Event] | Exception, call: Call, error: Exception
    ) -> _Outcome:
        failure = failure_of(handler, row, error)
        log_failure(handler, row, error, failure)
        state = "parked" if failure.pause is None else "failed"
        if isinstance(event, Exception):  # unreadable: only its delivery can be written down
            return _Outcome(row, None, Answer(Event(), call, state, error=failure.text), failure.pause)
        return _Outcome(row, event, Answer(event.event, call, state, error=failure.text), failure.pause)

    def _write_down(self, handler: Handler, message: _Message) -> None:
        """Write the outcomes down together; where the handler's own part of that fails, each by itself.

        Answers are never dropped for a database that is away: they wait here, since the calls were made.
        """
        if not message.unwritten:
            return
        try:
            self.insist(self._write, handler, message, message.unwritten)
        except DatabaseAwayError:
            raise
        except Exception as error:
            logger.error("settling_failed", handler=handler.name, error=type(error).__name__)
            for outcome in message.unwritten:
                self._write_one(handler, message, outcome)
        message.unwritten = []

    def _write_one(self, handler: Handler, message: _Message, outcome: _Outcome) -> None:
        try:
            self.insist(self._write, handler, message, [outcome])
        except DatabaseAwayError:
            raise
        except Exception as error:  # the call was made and must not be made again: park it, and say why
            unsettled = "It was answered, but the answer could not be written down.\n" + describe(error)
            failed = _Outcome(
                outcome.row, None, Answer(Event(), self._key(handler, outcome.row), "parked", None, unsettled)
            )
            self.insist(self._write, handler, message, [failed])

    def _write(self, handler: Handler, message: _Message, outcomes: Sequence[_Outcome]) -> None:
        """Write outcomes down in one transaction, but none of a delivery that is no longer ours."""
        with self.database.engine.begin() as connection:
            results = {o.row.position: o.answer.result for o in outcomes if o.answer and o.answer.state in _DONE}
            done = deliveries.answered(connection, handler.name, results, message.token)
            others = [o.row.position for o in outcomes if o.row.position not in results]
            held = deliveries.held(connection, handler.name, others, message.token)
            unfinished = [o for o in outcomes if o.row.position in held]
            countdown = self._again_or_park(handler, connection, unfinished, single=message.single)
            self._settle(handler, connection, [o for o in outcomes if o.row.position in done | held])
        _ANSWERED.reach()
        message.countdown = countdown

    def _again_or_park(
        self, handler: Handler, connection: Any, outcomes: Sequence[_Outcome], *, single: bool
    ) -> float | None:
        """Write down what is not done, all that is alike by one statement; gives the countdown of a single one."""
        countdown = None
        alike: dict[tuple[float | None, str | None], list[int]] = {}
        for outcome in outcomes:
            error = outcome.answer.error if outcome.answer else None
            alike.setdefault((outcome.pause, error), []).append(outcome.row.position)
        for (pause, error), positions in alike.items():
            if pause is None:
                deliveries.park(connection, handler.name, positions, error or "")
                continue
            hold = self.may_hold(pause, single=single)
            deliveries.due_again(connection, handler.name, positions, seconds=pause, failure=error, in_broker=hold)
            countdown = pause if hold else None
        return countdown

    def _settle(self, handler: Handler, connection: Any, outcomes: Sequence[_Outcome]) -> None:
        """Let the handler write its own rows and record events about the answers, in the same transaction."""
        known = [o for o in outcomes if o.event is not None and o.answer is not None]
        if handler.settle is None or not known:
            return
        work = self.database.unit_of_work(connection, causes=[o.event for o in known if o.event])
        handler.settle([o.answer for o in known if o.answer], work)
        work.flush()
