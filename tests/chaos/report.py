"""What came of a run, in Jepsen's words: what was attempted, acknowledged, lost, unexpected, duplicated, recovered."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from tests.chaos.faults import can_repeat_a_call
from tests.chaos.house import TERMINAL, Findings, Order
from tests.chaos.journal import Attempt
from tests.chaos.outside import Call
from tests.chaos.plan import Fault

AFTERMATH = 40.0
"""Seconds after its end in which a fault may still be what a repeated call is owed to: a claim's 35 s, and some."""


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that happened: when it began and ended, in seconds since 1970."""

    fault: Fault
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Report:
    """The result. ``recovered`` says that after the last fault everything came to its end by itself."""

    house: str
    seed: int
    attempted: int
    acknowledged: int
    delivered: int
    cancelled: int
    refused: int
    lost: Sequence[str]
    unexpected: Sequence[str]
    duplicated: Sequence[str]
    recovered: bool
    violated: Sequence[str]
    parked: Mapping[str, int]
    outside: Mapping[str, Mapping[str, int]]
    faults: Mapping[str, Mapping[str, float]]

    @property
    def holds(self) -> bool:
        return self.recovered and not (self.lost or self.unexpected or self.duplicated or self.violated or self.refused)

    def as_json(self) -> dict[str, Any]:
        counted = {name: len(getattr(self, name)) for name in ("lost", "unexpected", "duplicated", "violated")}
        sentences = [f"{name}: {case}" for name in counted for case in getattr(self, name)]
        return asdict(self) | counted | {"ok": self.holds, "problems": sentences}


def compare(attempts: Mapping[str, Attempt], orders: Sequence[Order], read: Mapping[str, str]) -> Findings:
    """Hold the client's journal against the database, and against what could be read over HTTP at the end."""
    found = Findings()
    known = {order.id: order for order in orders}
    for key, attempt in attempts.items():
        if len(attempt.ids) > 1:
            found.duplicated.append(f"{key} was acknowledged as {' and '.join(attempt.ids)}")
        for order_id in attempt.ids:
            if order_id not in known or order_id not in read:
                found.lost.append(f"{key} was acknowledged as {order_id}, which cannot be read")
            elif read[order_id] not in TERMINAL:
                found.lost.append(f"{order_id} is still {read[order_id]}")
            elif attempt.cancelled and read[order_id] != "cancelled":
                found.lost.append(f"{order_id} was cancelled, and is {read[order_id]}")
    for key, number in Counter(order.key for order in orders).items():
        if key not in attempts:
            found.unexpected.append(f"{number} orders with the key {key!r}, which nobody sent")
        elif number > 1:
            found.duplicated.append(f"{key} has {number} orders")
    return found


def by_key(calls: Sequence[Call]) -> dict[str, list[Call]]:
    """Give the calls for each key."""
    found: dict[str, list[Call]] = {}
    for call in calls:
        found.setdefault(call.key, []).append(call)
    return found


def unexplained(journal: Mapping[str, Sequence[Call]], worker: str, faults: Sequence[Struck]) -> list[str]:
    """Find the keys that a worker called more often than once, and once more for each fault that can be why.

    A call that the service never answered does not count: nobody can know that it was made.
    """
    found = []
    able = [one for one in faults if can_repeat_a_call(one.fault, worker)]
    for key, calls in journal.items():
        times = [call.at for call in calls if call.answered] or [calls[-1].at]
        crashes = sum(s.began <= times[-1] and s.ended + AFTERMATH >= times[0] for s in able)
        if len(times) > 1 + crashes:
            found.append(f"{key} was called {len(times)} times, with {crashes} faults that can be why")
    return found


def repetitions(journal: Mapping[str, Sequence[Call]]) -> dict[str, int]:
    """Count the calls of one service: all, the keys they were for, and how many keys came more than once."""
    return {
        "calls": sum(map(len, journal.values())),
        "keys": len(journal),
        "repeated": sum(len(calls) > 1 for calls in journal.values()),
        "most": max(map(len, journal.values()), default=0),
    }


def recovery(struck: Sequence[Struck], orders: Sequence[Order]) -> dict[str, dict[str, float]]:
    """Give for each kind of fault how often it struck, and the median and maximum of its recovery times.

    A fault's recovery time is that from its end until the last of these orders was delivered or cancelled: those that
    were placed after the end of the fault before and before its own end, and the first that was placed afterwards.
    ``never`` counts the faults after which one of these never was.
    """
    never: Counter[str] = Counter()
    times: dict[str, list[float]] = {}
    placed = sorted(orders, key=lambda order: order.placed_at)
    before = 0.0
    for one in struck:
        of_its_time = [order for order in placed if before < order.placed_at <= one.ended]
        probe = next((order for order in placed if order.placed_at > one.ended), None)
        ends = [order.finished_at for order in (*of_its_time, *([probe] if probe else []))]
        times.setdefault(one.fault.kind, []).append(max(0.0, max(filter(None, ends), default=0.0) - one.ended))
        never[one.fault.kind] += None in ends
        before = one.ended
    return {
        kind: {
            "struck": len(found),
            "median": round(median(found), 1),
            "max": round(max(found), 1),
            "never": never[kind],
        }
        for kind, found in sorted(times.items())
    }
