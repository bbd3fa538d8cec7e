"""The broker of a model: nothing in it runs by itself, and everything in it may be lost, doubled or overtaken."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.kernel import clock
from tasks.bus.relay import Message


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message at the broker; one that a retry holds back waits until ``at``."""

    message: Message
    at: datetime
    again: bool = False


@dataclass(slots=True)
class Chord:
    """Parts of a load that are still to be baked; when none is left, its body is sent."""

    load_id: str
    parts: list[int]


@dataclass
class ModelBroker:
    """All that is on its way between processes: messages of the relay, and the kitchen's chords."""

    away: bool = False
    messages: list[Waiting] = field(default_factory=list)
    chords: list[Chord] = field(default_factory=list)
    plates: list[str] = field(default_factory=list)

    def publish(self, messages: Sequence[Message]) -> None:
        """Take messages of a relay."""
        self._answer()
        self.messages += [Waiting(message, clock.now()) for message in messages]

    def depths(self, handlers: Iterable[str]) -> Mapping[str, int]:
        """Tell how many messages wait; those that a retry holds back are no longer in their queue."""
        self._answer()
        waiting = Counter(each.message.handler for each in self.ready)
        return {name: waiting[name] for name in handlers}

    @property
    def ready(self) -> list[Waiting]:
        """The messages that a worker may take now."""
        return [each for each in self.messages if each.at <= clock.now()]

    def hold(self, message: Message, seconds: float) -> None:
        """Keep a message for a retry."""
        self.messages.append(Waiting(message, clock.now() + timedelta(seconds=seconds)))

    def start(self, load_id: str, parts: list[int], _seconds: float) -> None:
        """Take a chord, in the place of ``tasks.workflow.start``; without a header Celery sends the body at once."""
        self._answer()
        if parts:
            self.chords.append(Chord(load_id, list(parts)))
        else:
            self.plates.append(load_id)

    def is_behind(self) -> bool:
        """Tell whether the kitchen has messages waiting, in the place of ``tasks.workflow.is_behind``."""
        return self.away or bool(self.chords or self.plates)

    def baked(self, chord: Chord, part: int) -> None:
        """Note that a part of a chord has answered."""
        chord.parts.remove(part)
        if not chord.parts:
            self.chords.remove(chord)
            self.plates.append(chord.load_id)

    def lose(self) -> None:
        """Forget everything, as at a FLUSHALL."""
        self.messages.clear()
        self.chords.clear()
        self.plates.clear()

    def _answer(self) -> None:
        if self.away:
            raise ConnectionError("the broker is away")
