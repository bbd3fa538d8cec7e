"""The plan of a run: who comes when, and what breaks when. The seed decides all of it, before anything starts."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TWICE = 0.1
_CANCELS = 0.08
_MOST_LASTING = 0.5
"""The share of a run that faults may last altogether; the rest is for recovering between them."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: whom it may strike, how many seconds it lasts, and in every how manieth round it comes.

    A round is one fault of each kind. With ``every`` 0 it comes once, in the first.
    """

    name: str
    targets: tuple[str, ...] = ("",)
    lasts: tuple[float, float] = (0, 0)
    every: int = 1

    def comes_in(self, number: int) -> bool:
        return number == 0 if self.every == 0 else number % self.every == self.every - 1


@dataclass(frozen=True, slots=True)
class Fault:
    """What is to break, how many seconds after the start, and for how many."""

    at: float
    kind: str
    target: str
    seconds: float

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:8.1f} s  {' '.join(filter(None, (self.kind, self.target)))}{lasting}"


@dataclass(frozen=True, slots=True)
class Visit:
    """An order to be placed: how many seconds after the start, whether twice at once, and whether it is cancelled."""

    at: float
    key: str
    twice: bool = False
    cancels: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole run. Equal arguments make equal plans, however fast the machine is."""

    seed: int
    seconds: float
    visits: Sequence[Visit]
    faults: Sequence[Fault]


def draw(seed: int, seconds: float, orders: int, faults: int, kinds: Sequence[Kind]) -> Plan:
    """Draw a plan: orders evenly over the time, faults one after the other with pauses of uneven length."""
    visits = [_visit(random.Random(f"{seed} visit {n}"), f"{seed}-{n}", n * seconds / orders) for n in range(orders)]
    return Plan(seed, seconds, visits, _faults(random.Random(f"{seed} faults"), seconds, faults, kinds))


def _visit(chance: random.Random, key: str, at: float) -> Visit:
    return Visit(at, key, twice=chance.random() < _TWICE, cancels=chance.random() < _CANCELS)


def _faults(chance: random.Random, seconds: float, number: int, kinds: Sequence[Kind]) -> list[Fault]:
    rounds = _rounds(chance, kinds)
    drawn = [next(rounds) for _ in range(number)]
    lengths = [chance.uniform(*kind.lasts) for kind in drawn]
    scale = min(1.0, _MOST_LASTING * seconds / sum(lengths)) if any(lengths) else 1.0
    lengths = [round(length * scale, 1) for length in lengths]
    pauses = [chance.uniform(0.4, 1.6) for _ in range(number + 1)]
    stretch = (seconds - sum(lengths)) / sum(pauses)
    faults, at = [], 0.0
    for kind, length, pause in zip(drawn, lengths, pauses, strict=False):
        at += pause * stretch
        faults.append(Fault(round(at, 1), kind.name, chance.choice(kind.targets), length))
        at += length
    return faults


def _rounds(chance: random.Random, kinds: Sequence[Kind]) -> Iterator[Kind]:
    """Give every kind once, in random order, then again: so none is missing in a long run."""
    number = 0
    while True:
        turn = [kind for kind in kinds if kind.comes_in(number)]
        chance.shuffle(turn)
        yield from turn
        number += 1
