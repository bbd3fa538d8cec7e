"""What an event is, and the registry of all event types."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

import msgspec

Data = dict[str, Any]
Upcaster = Callable[[Data], Data]

# Words that tell a state reached, beside all that end in -ed.
_PAST = frozenset(
    {"Began", "Begun", "Gone", "Left", "Lost", "Low", "Made", "Out", "Paid", "Ready", "Sent", "Sold", "Taken"}
)
_WORDS = re.compile(r"[A-Z][a-z0-9]*")


class UnknownEventError(Exception):
    """An event in the log has a type or version that this code does not know."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened. Subclasses are small, frozen, named in the past tense, and registered by their name."""

    version: ClassVar[int] = 1
    stream: ClassVar[str]
    """Kind of stream the event is appended to, for example ``order``."""
    key: ClassVar[str]
    """Field that tells which stream of that kind, for example ``order_id``."""
    personal: ClassVar[frozenset[str]] = frozenset()
    """Fields that are encrypted with the person's key; None once the key is dropped."""
    continues: ClassVar[bool] = False
    """Whether the stream is one process from beginning to end, whose correlation all its events bear."""
    person: ClassVar[str] = "customer_id"
    """Field naming the person whom the personal fields belong to, and whose key encrypts them."""

    @property
    def identity(self) -> str:
        """What the event is about: the value of its key field."""
        return str(getattr(self, self.key))

    @property
    def stream_name(self) -> str:
        """The stream the event belongs to, for example ``order-4f…``."""
        return f"{self.stream}-{self.identity}"


E = TypeVar("E", bound=Event, covariant=True)
Kind = TypeVar("Kind", bound=type[Event])


class Recorded(msgspec.Struct, Generic[E], frozen=True):
    """An event as the log holds it."""

    event: E
    position: int
    id: UUID
    sequence: int
    correlation_id: str
    causation_id: UUID | None
    recorded_at: datetime


def is_past_tense(name: str) -> bool:
    """Tell whether an event's name says that something has happened."""
    return any(word.endswith("ed") or word in _PAST for word in _WORDS.findall(name)[1:])


class Catalogue:
    """Every event type by name, and how each older version becomes the next."""

    def __init__(self) -> None:
        self.types: dict[str, type[Event]] = {}
        self.upcasters: dict[tuple[str, int], Upcaster] = {}

    def register(self, event_type: Kind) -> Kind:
        """Add an event type; a class decorator. Raises ValueError for a name that is not past tense, or taken."""
        name = event_type.__name__
        if not is_past_tense(name):
            raise ValueError(f"{name} is no event: name what has happened, in the past tense.")
        if name in self.types:
            raise ValueError(f"There are two events named {name}.")
        self.types[name] = event_type
        return event_type

    def upcasts(self, name: str, version: int) -> Callable[[Upcaster], Upcaster]:
        """Add the step that turns an event's data of this version into the next; a function decorator.

        It sees personal fields encrypted, or None.
        """

        def add(step: Upcaster) -> Upcaster:
            self.upcasters[name, version] = step
            return step

        return add

    def decode(self, name: str, version: int, stored: str | bytes) -> Event:
        """Make the present event of stored JSON of any version; fields it does not know are ignored.

        Personal fields stay encrypted. Raises UnknownEventError, or msgspec.ValidationError where data does not fit.
        """
        event_type = self.types.get(name)
        if event_type is None or version > event_type.version:
            raise UnknownEventError(f"{name} version {version} is unknown to this code.")
        if version == event_type.version:
            return msgspec.json.decode(stored, type=event_type)
        data: Data = msgspec.json.decode(stored)
        for step in range(version, event_type.version):
            data = self.upcasters[name, step](data)
        return msgspec.convert(data, event_type)
