"""The world of a model: a shop, its broker, accidents, and time that passes when it is told to."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy.exc import OperationalError

from domain.events import catalogue
from domain.kernel import clock
from tasks import workflow
from tasks.bus.inside import InsideRunner
from tasks.bus.outside import OutsideRunner
from tasks.bus.registry import Call, Handler, Registry, Subscription
from tasks.bus.relay import Message, Relay
from tasks.bus.retry import Retry
from tasks.bus.runner import DatabaseAwayError
from tasks.gateways import switch
from tests.integration.conftest import Shop
from tests.integration.model.accidents import Accidents
from tests.integration.model.broker import Chord, ModelBroker, Waiting
from tests.integration.probe import KilledError

RETRY = Retry(times=1, first=1, cap=1, jitter=0)
INTERRUPTIONS = (KilledError, DatabaseAwayError, OperationalError)


class NotDueError(Exception):
    """A bake has asked to be brought back."""


class BakeTask:
    """What ``workflow.bake`` knows of its Celery task."""

    @staticmethod
    def retry(countdown: float) -> NotDueError:
        return NotDueError(f"in {countdown:g} s")


class World:
    """A shop whose every process does one thing when it is told to, and may die of it."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.broker = ModelBroker()
        self.accidents = Accidents()
        self.broken: set[str] = set()
        """Handlers that have a bug."""
        self.calls: Counter[str] = Counter()
        """Calls to the outside that were answered, by key."""
        self.repeatable: Counter[str] = Counter()
        """Calls whose worker was interrupted before it came to its end."""
        self.registry = Registry({name: self._watched(h) for name, h in shop.registry.handlers.items()})
        self._called: list[str] = []
        self._inside = InsideRunner(shop.database, catalogue, holds_countdowns=True)
        self._outside = OutsideRunner(shop.database, catalogue, holds_countdowns=True)

    def relay(self) -> None:
        """Have a relay start, do its round once, and go."""
        once = Relay(self.shop.database, self.broker, announce=lambda _: None, beat=lambda: None)
        self._until_interrupted(once.turn)

    def go_round(self, *, idle: str | None = None, backwards: bool = False) -> None:
        """Have everybody work until nothing of what there was is left: relay, workers (but an idle one), oven, pass."""
        self.relay()
        for waiting in self.broker.ready[:: -1 if backwards else 1]:
            if waiting.message.handler != idle:
                self.work(waiting)
        for chord in list(self.broker.chords):
            for part in list(chord.parts):
                self.bake(chord, part)
        for load_id in list(self.broker.plates):
            self.plate(load_id)

    def work(self, waiting: Waiting, *, copied: bool = False) -> None:
        """Have a worker take a message; the broker may keep a copy of it, to be handed out again."""
        if not copied:
            self.broker.messages.remove(waiting)
        if not self.deliver(waiting.message, again=waiting.again):
            self.broker.messages.append(replace(waiting, again=True))

    def deliver(self, message: Message, *, again: bool = False) -> bool:
        """Have a worker run a message's handler; tells whether it came to its end."""
        handler = self.registry.handlers[message.handler]
        runner = self._outside if handler.outside else self._inside
        self._called = []
        self.accidents.meet = partial(runner.run, handler, message.positions)
        try:
            countdown = runner.run(handler, message.positions, started_before=again)
        except INTERRUPTIONS:
            self.repeatable.update(self._called)
            return False
        if countdown is not None:
            self.broker.hold(message, countdown)
        return True

    def bake(self, chord: Chord, part: int) -> None:
        """Have the oven take a part of a chord; one that is not due yet, or was interrupted, stays."""
        if self._until_interrupted(lambda: workflow.bake(BakeTask, chord.load_id, part)):
            self.broker.baked(chord, part)

    def plate(self, load_id: str) -> None:
        """Have the pass take a load, whether or not anybody sent it there; one that was interrupted is sent again."""
        if self._until_interrupted(lambda: workflow.plate(load_id)) and load_id in self.broker.plates:
            self.broker.plates.remove(load_id)

    def tend(self) -> None:
        """Have the kitchen look whether something can go into the oven."""
        self._until_interrupted(workflow.tend)

    def wait(self, seconds: float) -> None:
        """Let time pass: for the processes by their clock, for the ledger by moving its times back."""
        clock.move(timedelta(seconds=seconds))
        self.shop.execute(
            "UPDATE deliveries SET not_before = not_before - :passed, dispatched_at = dispatched_at - :passed,"
            " claimed_until = claimed_until - :passed",
            passed=timedelta(seconds=seconds),
        )

    def switch(self, gateway: str, mode: str | None) -> None:
        """Have an outside service, or the oven, work in another way; None: as it should."""
        with self.shop.database.begin("switch") as work:
            switch.switch(work, gateway, mode)
        switch._read.clear()

    @staticmethod
    def _until_interrupted(step: Callable[[], Any]) -> bool:
        try:
            step()
        except (NotDueError, *INTERRUPTIONS):
            return False
        return True

    def _watched(self, handler: Handler) -> Handler:
        """Give the handler with bugs that can be switched on, calls that are counted, and little patience."""
        watch = self._counted if handler.outside else self._breakable
        subscriptions: dict[str, Subscription] = {
            event: replace(each, function=watch(handler.name, each.function), retry=RETRY)
            for event, each in handler.subscriptions.items()
        }
        return replace(handler, subscriptions=subscriptions)

    def _breakable(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(events: Any, work: Any) -> None:
            function(events, work)
            if name in self.broken:
                raise RuntimeError(f"{name} has a bug")

        return run

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(event: Any, call: Call) -> Any:
            if name in self.broken:
                raise RuntimeError(f"{name} has a bug")
            answer = function(event, call)
            self.calls[call.key] += 1
            self._called.append(call.key)
            return answer

        return run
