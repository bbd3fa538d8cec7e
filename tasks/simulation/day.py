"""A Friday as it is planned: who orders what and when, who thinks better of it, and what goes wrong.

The same menu, number and seed make the same plan. Times are the played day's own, counted from midnight.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from domain.settings import Settings
from tasks.simulation.baskets import Baskets, Body

ARRIVALS = {11: 3, 12: 8, 13: 8, 14: 4, 15: 2, 16: 3, 17: 6, 18: 10, 19: 16, 20: 22, 21: 12, 22: 6}
"""Of a hundred orders, how many come in each hour: a bump at lunch, the rush at eight in the evening."""

CARDS = {"tok_approve": 90, "tok_decline": 4, "tok_timeout_charged": 4, "tok_down": 2}
"""Of a hundred cards, how many are which of the sandbox's. The one that never answers takes minutes to be given up, by
the shop's real clock, and would be no part of the day that it was shown on."""

SUPPLIES = tuple(timedelta(minutes=minutes) for minutes in range(11 * 60, 23 * 60, 10))
"""When the wholesaler looks in and brings what was ordered: the store holds enough for two thirds of a day of 600."""

_CARD = 0.55
_RETURNING = 0.3
_PARTY = 0.02
_NOTE = 0.15
_REGRET = 0.06

_NOTES = ("Please ring twice.", "No cutlery, please.", "The bell is broken: please knock.", "It is for the back yard.")

FaultKind = Literal["driver", "oven", "sms"]


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody who orders; ``regrets`` is how long afterwards they want to cancel, if they do."""

    at: timedelta
    body: Body
    regrets: timedelta | None


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong from one time to another, or to the end of the day."""

    kind: FaultKind
    begins: timedelta
    ends: timedelta | None


@dataclass(frozen=True, slots=True)
class Day:
    """A whole day: its guests and its faults, each by their time."""

    guests: tuple[Guest, ...]
    faults: tuple[Fault, ...]


def plan(menu: Mapping[str, Any], number: int, seed: int) -> Day:
    """Plan a day of so many orders. Raises ValueError when nothing on the menu can be ordered."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    hours = chance.choices(list(ARRIVALS), list(ARRIVALS.values()), k=number)
    times = sorted(timedelta(hours=hour, seconds=round(chance.uniform(0, 3600), 3)) for hour in hours)
    bodies = _bodies(Baskets(menu, seed), chance)
    guests = tuple(Guest(at, next(bodies), _regret(chance)) for at in times)
    return Day(guests, tuple(sorted(_faults(chance), key=lambda fault: fault.begins)))


def _bodies(baskets: Baskets, chance: random.Random) -> Iterator[Body]:
    """Make orders: some by guests who were here before, by card or in cash, now and then with a note or for a party."""
    known: list[Body] = []
    addresses: dict[str, str] = {}
    while True:
        body = baskets.next()
        if known and chance.random() < _RETURNING:
            body["customer"] = chance.choice(known)
        else:
            known.append(body["customer"])
        if "address" in body:
            body["address"] = addresses.setdefault(body["customer"]["phone"], body["address"])
        if chance.random() < _CARD:
            body |= {"payment": "card", "card_token": chance.choices(list(CARDS), list(CARDS.values()))[0]}
        if chance.random() < _PARTY:
            body["items"][0]["quantity"] = chance.randint(6, 12)
        if chance.random() < _NOTE:
            body["note"] = chance.choice(_NOTES)
        yield body


def _regret(chance: random.Random) -> timedelta | None:
    """Some press the wrong button and see it at once; others find that it takes too long."""
    if chance.random() >= _REGRET:
        return None
    return timedelta(seconds=chance.choice((0, chance.randint(60, 360))))


def _faults(chance: random.Random) -> Iterator[Fault]:
    minute = timedelta(minutes=1)
    sick = 16 * 60 * minute + chance.randint(0, 180) * minute
    yield Fault("driver", sick, None)
    out = 18 * 60 * minute + chance.randint(30, 120) * minute
    yield Fault("oven", out, out + 20 * minute)
    silent = 12 * 60 * minute + chance.randint(0, 540) * minute
    yield Fault("sms", silent, silent + 20 * minute)


def strains(day: Day, speed: float, shop: Settings) -> Iterator[str]:
    """Say which of the shop's settings make a day at this speed last longer than it should."""
    length = (day.guests[-1].at - day.guests[0].at).total_seconds() / speed
    tours = sum(guest.body["fulfilment"] == "delivery" for guest in day.guests)
    for what, works, places, settings in (
        (f"{shop.drivers} drivers", tours * shop.drive_seconds, shop.drivers, "DRIVERS or PIZZERIA_DRIVE_SECONDS"),
        ("the oven", len(day.guests) * shop.bake_seconds, shop.oven_capacity, "OVEN_CAPACITY or PIZZERIA_BAKE_SECONDS"),
    ):
        if works / places > length:
            yield (
                f"By the settings here {what} will need {works / places:.0f} s for a day that lasts {length:.0f} s:"
                f" start the pizzeria with another PIZZERIA_{settings}, or play it slower."
            )
