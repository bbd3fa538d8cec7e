"""A broker that is none: messages run their handler at once, in the process that sends them."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from domain.kernel.event import Catalogue
from domain.kernel.unit_of_work import Database
from tasks.bus.inside import InsideRunner
from tasks.bus.outside import OutsideRunner
from tasks.bus.registry import Registry
from tasks.bus.relay import Message, Relay


class InlineBroker:
    """Runs handlers in place, on the same ledger as with a real broker."""

    def __init__(self, database: Database, catalogue: Catalogue, registry: Registry) -> None:
        self._registry = registry
        self._inside = InsideRunner(database, catalogue, holds_countdowns=False)
        self._outside = OutsideRunner(database, catalogue, holds_countdowns=False)

    def publish(self, messages: Sequence[Message]) -> None:
        """Run the handler of each message, one after the other."""
        for message in messages:
            handler = self._registry.handlers[message.handler]
            (self._outside if handler.outside else self._inside).run(handler, message.positions)

    def depths(self, handlers: Iterable[str]) -> Mapping[str, int]:
        """Tell that nothing ever waits."""
        return dict.fromkeys(handlers, 0)


@dataclass(frozen=True, slots=True)
class Background:
    """A relay that works in a thread of this process."""

    relay: Relay
    thread: threading.Thread

    def stop(self) -> None:
        """Have it end, and wait until it has."""
        self.relay.stopping.set()
        self.thread.join(30)


def serve(
    database: Database, catalogue: Catalogue, registry: Registry, beat: Callable[[], None], keep: timedelta
) -> Background:
    """Deliver in the background of this process until it is stopped; see Relay for ``beat`` and ``keep``."""
    broker = InlineBroker(database, catalogue, registry)
    relay = Relay(database, broker, lambda _: None, beat, keep)
    thread = threading.Thread(target=relay.run, name="inline-relay", daemon=True)
    thread.start()
    return Background(relay, thread)


def drain(database: Database, catalogue: Catalogue, registry: Registry) -> None:
    """Deliver everything that is due, and what comes of it, until nothing is due any more."""
    relay = Relay(database, InlineBroker(database, catalogue, registry), announce=lambda _: None, beat=lambda: None)
    relay.turn()
    while not relay.idle:
        relay.measure()
        relay.turn()
