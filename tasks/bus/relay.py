"""The relay: due deliveries become messages. It is the only sender; any number of relays may run."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from domain.kernel.failpoint import FailPoint
from domain.kernel.origin import origin
from domain.kernel.unit_of_work import Database, is_connection_loss
from tasks.bus import outbox, retention, sweep
from tasks.bus.outbox import Due

POLL = 0.02
"""Seconds between two looks when nothing is to be done."""
OUTSTANDING = 200
"""Messages that may wait at the broker for one handler; the rest wait as rows."""
LARGEST = 500
"""Events in one message at the most."""
MESSAGE_SECONDS = 1.0
"""Work that one message should hold."""
BUSY = 2
"""With so many messages waiting, a queue gets only full ones more: what is due would wait anyway, and gathers."""

_MEASURE_EVERY = 0.05
_SWEEP_EVERY = 1.0
_PROBES = 4
"""Messages of one event for a handler whose pace nobody knows yet."""

_MARKED = FailPoint("relay.marked")
_PUBLISHED = FailPoint("relay.published")

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """What goes to the broker: a handler's name and positions in the log. Nothing else, and nothing personal."""

    handler: str
    positions: Sequence[int]


class Broker(Protocol):
    """Where messages wait for workers."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Send messages, each to its handler's own queue; raises when that is not certain."""

    def depths(self, handlers: Iterable[str]) -> Mapping[str, int]:
        """Tell how many messages wait in each handler's queue."""


@dataclass(slots=True)
class _Queue:
    """What the relay knows of one handler's queue."""

    outstanding: int = OUTSTANDING  # until measured, nothing is sent blindly
    pace: float | None = None
    seen_empty: datetime | None = None

    @property
    def size(self) -> int:
        """Events for one message: about a second of work."""
        if self.pace is None:
            return 1
        return max(1, min(LARGEST, int(MESSAGE_SECONDS / max(self.pace, 1e-6))))

    @property
    def room(self) -> int:
        """Events that may be sent now."""
        limit = OUTSTANDING if self.pace is not None else _PROBES
        return max(0, limit - self.outstanding) * self.size

    @property
    def least(self) -> int:
        """Events worth a message now."""
        return self.size if self.outstanding >= BUSY else 1


@dataclass(slots=True)
class Relay:
    """Fans out, dispatches and sweeps until it is told to stop.

    ``announce`` is told of every (stream, sequence) that was fanned out, so that people watching see it at once.
    ``beat`` is called every five seconds while the broker answers. Finished deliveries are let go once their event is
    older than ``keep``; never without.
    """

    database: Database
    broker: Broker
    announce: Callable[[Sequence[tuple[str, int]]], None]
    beat: Callable[[], None]
    keep: timedelta | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
    _queues: dict[str, _Queue] = field(default_factory=dict)
    _measured: float = 0
    _swept: float = 0
    _beaten: float = 0
    _broker_answers: bool = False
    _worked: bool = False
    _more: bool = False

    @property
    def idle(self) -> bool:
        """Whether the last turn found nothing to do."""
        return not self._worked

    def run(self) -> None:
        """Work until stopped; a database or broker that is away is waited for."""
        pause = POLL
        while not self.stopping.is_set():
            try:
                pause = 0 if self.turn() else POLL  # what comes within a poll goes together
            except Exception as error:
                if not is_connection_loss(error):
                    logger.error("relay_failed", error=type(error).__name__, where=origin(error))
                pause = 0.5
            if pause:
                self.stopping.wait(pause)

    def turn(self) -> bool:
        """Do once whatever is to be done; tells whether there is more of it waiting."""
        now = time.monotonic()
        if now - self._measured > _MEASURE_EVERY:
            self._measured = now
            self.measure()
        if now - self._swept > _SWEEP_EVERY:
            self._swept = now
            self._guard(self._sweep)
        if self._broker_answers and now - self._beaten > 5:
            self._beaten = now
            self._guard(self.beat)
        self._more = False
        events, due = outbox.look(self.database.reading, list(self._queues))
        sent = self._fan_out() if events else []
        try:
            if due:
                sent = [*sent, *outbox.dispatch(self.database.engine, self._rooms())]
        finally:  # what the fan-out marked as sent would wait for the end of its lease
            self._publish(sent)
        self._worked = events or bool(sent)
        return self._more

    def _fan_out(self) -> Sequence[Due]:
        announced, due = outbox.fan_out(self.database.engine, self._wide_open())
        if announced:
            self.announce(announced)
        self._more = len(announced) >= outbox.FAN_OUT
        return due

    def _rooms(self) -> list[outbox.Room]:
        if not self._broker_answers:
            return []
        return [outbox.Room(name, queue.room, queue.least) for name, queue in self._queues.items() if queue.room]

    def _wide_open(self) -> list[str]:
        """Tell which handlers can take all that one fan-out may bring, so that it may be sent without a second look."""
        if not self._broker_answers:
            return []
        return [name for name, q in self._queues.items() if q.room >= outbox.FAN_OUT and q.outstanding < BUSY]

    def _publish(self, due: Sequence[Due]) -> None:
        if not due:
            return
        messages = list(self._messages(due))
        _MARKED.reach()
        try:
            self.broker.publish(messages)
        except Exception as error:
            logger.warning("publish_failed", messages=len(messages), error=type(error).__name__)
            self._broker_answers = False
            outbox.take_back(self.database.engine, due)
            return
        _PUBLISHED.reach()
        for message in messages:
            self._queues[message.handler].outstanding += 1

    def _messages(self, due: Sequence[Due]) -> Iterable[Message]:
        """Put due deliveries into messages, those that must be alone into one each."""
        together: dict[str, list[int]] = {}
        for delivery in due:
            if delivery.alone:
                yield Message(delivery.handler, [delivery.position])
            else:
                together.setdefault(delivery.handler, []).append(delivery.position)
        for handler, positions in together.items():
            size = self._queues[handler].size
            for start in range(0, len(positions), size):
                yield Message(handler, positions[start : start + size])

    def measure(self) -> None:
        """Look how long the queues are and how fast the handlers; the time is the database's, from before the look."""
        now, paces = outbox.paces(self.database.reading)
        for name in paces.keys() - self._queues.keys():
            self._queues[name] = _Queue()
        for name in self._queues.keys() - paces.keys():
            del self._queues[name]
        try:
            depths = self.broker.depths(paces)
        except Exception as error:
            if self._broker_answers:
                logger.warning("broker_away", error=type(error).__name__)
            self._broker_answers = False
            return
        self._broker_answers = True
        for name, queue in self._queues.items():
            queue.pace = paces[name]
            queue.outstanding = depths[name]
            if not depths[name]:
                queue.seen_empty = now

    def _sweep(self) -> None:
        outbox.park_orphans(self.database.engine)
        found = sweep.lost(self.database.engine, {name: queue.seen_empty for name, queue in self._queues.items()})
        if found:
            logger.warning("lost_messages_found", **found)
        if self.keep is not None:
            retention.purge(self.database.engine, self.keep)

    @staticmethod
    def _guard(action: Callable[[], None]) -> None:
        """Do what comes again by itself; should it fail, and fail again, what is new is sent nevertheless."""
        try:
            action()
        except Exception as error:
            logger.warning("relay_upkeep_failed", error=type(error).__name__)
