"""Who handles what. One file is one handler, one queue and one Celery task, all of one name."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from domain.kernel.event import Event, Recorded
from domain.kernel.unit_of_work import UnitOfWork
from tasks.bus.retry import Retry, Wait

_MARK = "__subscriptions__"
_SETTLES = "__settles__"
_WANTED = "__wanted__"
_SET_UP = "__set_up__"
_HOLDS_BACK = "__holds_back__"

Inside = Callable[[Sequence[Any], UnitOfWork], None]
"""Handles a batch of events of one type; its effects commit with the deliveries' being done."""
Outside = Callable[[Any, "Call"], Any]
"""Handles one event by calling somebody outside; gives the answer, to be kept."""


class RegistryError(Exception):
    """A handler file does not say clearly what it handles."""


@dataclass(slots=True)
class Call:
    """One call to the outside: ``key`` stays the same however often it is repeated; the first ``attempt`` is 1.

    ``draft`` is the handler's own: what it made ready to send, to be found again when it settles.
    """

    key: str
    attempt: int
    draft: Any = None

    @property
    def event_id(self) -> UUID:
        """The id of the event that the call is about."""
        return UUID(self.key.partition(":")[0])


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one call: ``state`` is done, failed or waiting (both tried again), parked, or held back.

    The ``result`` of one that is held back is the reason.
    """

    event: Event
    call: Call
    state: str
    result: Any = None
    error: str | None = None


Settle = Callable[[Sequence[Answer], UnitOfWork], None]
HoldBack = Callable[[Sequence[tuple[Recorded[Any], Call]], Connection], Mapping[str, str | Wait]]
"""Tells which of the calls that are about to be made must not be, each by its key with the reason, or not yet."""
Wanted = Callable[[Connection], bool]
"""Tells from the database whether a handler is to get events at all."""
SetUp = Callable[[], bool]
"""Tells from the settings whether a handler is used at all."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One function for one event type; without ``personal`` it gets None for each personal field."""

    event_type: str
    function: Callable[..., Any]
    outside: bool
    retry: Retry
    personal: bool = True
    fills: tuple[str, ...] = ()
    """The tables that the function writes, if it does nothing else."""
    where: Mapping[str, str] = field(default_factory=dict)
    """What the event must say to be delivered here at all: values of its fields."""

    @property
    def condition(self) -> str:
        """What is asked for, as people read it, such as "payment card"; nothing for every event."""
        return ", ".join(f"{name} {value}" for name, value in self.where.items())


@dataclass(frozen=True, slots=True)
class Handler:
    """A handler file: its functions by event type, and what is done with the answers if it calls outside."""

    name: str
    outside: bool
    subscriptions: Mapping[str, Subscription]
    settle: Settle | None = None
    wanted: Wanted | None = None
    hold_back: HoldBack | None = None
    set_up: SetUp | None = None

    @property
    def in_use(self) -> bool:
        """Whether the settings have the handler get events, and somebody work for it."""
        return self.set_up is None or self.set_up()

    @property
    def read_model(self) -> tuple[str, ...]:
        """The tables that can be made anew from the log: none, unless filling them is all that the handler does."""
        filled = [subscription.fills for subscription in self.subscriptions.values()]
        return tuple(sorted({table for tables in filled for table in tables})) if all(filled) else ()

    @property
    def personal(self) -> bool:
        """Whether any of its functions asks for personal fields."""
        return any(subscription.personal for subscription in self.subscriptions.values())

    def retry_for(self, event_type: str) -> Retry:
        """Give the policy for a failed event of this type."""
        found = self.subscriptions.get(event_type)
        return found.retry if found else Retry()


def handles(
    event_type: type[Event],
    *more: type[Event],
    retry: Retry | None = None,
    personal: bool = False,
    fills: str | Sequence[str] = (),
    where: Mapping[str, str] | None = None,
) -> Callable[[Inside], Inside]:
    """Subscribe a function of a batch of events and a unit of work: exactly once in the database.

    Its events' personal fields are None unless it asks for them: few need them, and to decrypt them takes time.
    ``fills`` says that all it does is write this table, or these, from these events and in any order of them: it can be
    replayed. ``where`` asks for those events only whose fields have these values: the others make no delivery.
    """
    tables = (fills,) if isinstance(fills, str) else tuple(fills)
    return _subscribe((event_type, *more), outside=False, retry=retry, personal=personal, fills=tables, where=where)


def calls(
    event_type: type[Event],
    *more: type[Event],
    retry: Retry | None = None,
    personal: bool = True,
    where: Mapping[str, str] | None = None,
) -> Callable[[Outside], Outside]:
    """Subscribe a function that calls outside for one event, with no transaction open; ``where`` as in ``handles``.

    It gets personal fields, which most calls are about, unless it does without.
    """
    return _subscribe((event_type, *more), outside=True, retry=retry, personal=personal, where=where)


def settles(function: Settle) -> Settle:
    """Name the function that writes down a batch of answers, in the transaction that ends their deliveries."""
    setattr(function, _SETTLES, True)
    return function


def holds_back(function: HoldBack) -> HoldBack:
    """Name the function that is asked before a batch of calls, in the transaction that claims their deliveries.

    A call that it holds back is not made: its delivery is done, with the reason as its result. With a Wait it is not
    made yet: its delivery is not claimed, and is postponed by one statement with those that wait as long. Where it
    raises, the deliveries are sent again, each alone, and for one alone that is a failed attempt.
    """
    setattr(function, _HOLDS_BACK, True)
    return function


def subscribed_while(function: Wanted) -> Wanted:
    """Name the function that tells whether the handler is subscribed; it is asked where subscriptions are written."""
    setattr(function, _WANTED, True)
    return function


def used_while(function: SetUp) -> SetUp:
    """Name the function that tells from the settings whether the handler is used: else no event comes its way."""
    setattr(function, _SET_UP, True)
    return function


def _subscribe(
    event_types: Sequence[type[Event]],
    *,
    outside: bool,
    retry: Retry | None,
    personal: bool,
    fills: tuple[str, ...] = (),
    where: Mapping[str, str] | None,
) -> Callable[[Any], Any]:
    asked = where or {}
    for kind in event_types:
        if unknown := asked.keys() - (set(kind.__struct_fields__) - kind.personal):
            raise RegistryError(f"{kind.__name__} has no field {min(unknown)!r} that can be asked for.")

    def mark(function: Any) -> Any:
        marks = [
            Subscription(kind.__name__, function, outside, retry or Retry(), personal, fills, asked)
            for kind in event_types
        ]
        setattr(function, _MARK, [*getattr(function, _MARK, []), *marks])
        return function

    return mark


@dataclass(slots=True)
class Registry:
    """Every handler by name."""

    handlers: dict[str, Handler] = field(default_factory=dict)

    @classmethod
    def discover(cls, package: str, overrides: Callable[[str], Mapping[str, float]] = lambda _: {}) -> "Registry":
        """Import every file of a package and collect its handlers; ``overrides`` gives changed retry numbers.

        Raises RegistryError for a file that handles nothing, or one event twice.
        """
        home = importlib.import_module(package)
        names = sorted(module.name for module in pkgutil.iter_modules(home.__path__))
        found = [collect(importlib.import_module(f"{package}.{name}"), overrides(name)) for name in names]
        return cls({handler.name: handler for handler in found})

    @property
    def in_use(self) -> list[str]:
        """The names of all handlers that are in use."""
        return [handler.name for handler in self.handlers.values() if handler.in_use]

    def subscriptions(self, asking: Connection | None = None) -> list[tuple[str, str, Subscription]]:
        """Give every event type in use with a handler's name and subscription, sorted by both.

        With a connection, only those of handlers that are wanted.
        """
        used = [self.handlers[name] for name in self.in_use]
        wanted = [h for h in used if asking is None or h.wanted is None or h.wanted(asking)]
        found = [(event, h.name, each) for h in wanted for event, each in h.subscriptions.items()]
        return sorted(found, key=lambda row: row[:2])


def collect(module: ModuleType, override: Mapping[str, float]) -> Handler:
    """Make the handler that a module describes. Raises RegistryError."""
    name = module.__name__.rpartition(".")[2]
    own = [thing for thing in vars(module).values() if getattr(thing, "__module__", None) == module.__name__]
    marks = [mark for thing in own for mark in getattr(thing, _MARK, [])]
    settle = next((thing for thing in own if getattr(thing, _SETTLES, False)), None)
    wanted = next((thing for thing in own if getattr(thing, _WANTED, False)), None)
    set_up = next((thing for thing in own if getattr(thing, _SET_UP, False)), None)
    hold_back = next((thing for thing in own if getattr(thing, _HOLDS_BACK, False)), None)
    if not marks:
        raise RegistryError(
            f"{module.__name__} handles nothing: mark a function with @handles or @calls, or move the file."
        )
    by_event = {m.event_type: replace(m, retry=m.retry.overridden(override)) for m in marks}
    if len(by_event) < len(marks):
        raise RegistryError(f"{module.__name__} handles an event twice: one function for each event.")
    if any(m.where and m.fills for m in marks):
        raise RegistryError(f"{module.__name__} fills tables from some events only: take all, and leave out inside.")
    if len({m.outside for m in marks}) > 1:
        raise RegistryError(f"{module.__name__} both persists and calls out: make it two files.")
    return Handler(name, marks[0].outside, by_event, settle, wanted, hold_back, set_up)
