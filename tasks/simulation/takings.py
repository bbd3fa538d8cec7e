"""What a played day came to: by the journal of those who ordered, and by the shop's own figures, hour by hour."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.sales import Report

_HOUR, _MINUTE = timedelta(hours=1), timedelta(minutes=1)
_LAST_MINUTE = 24 * _HOUR - _MINUTE
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Span:
    """Some of a played day, such as 20:00, and from when to before when it was by the shop's clock."""

    name: str
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Clock:
    """The played day's clock: it showed ``played`` since midnight when the shop's showed ``began``."""

    began: datetime
    played: timedelta
    speed: float

    def shows(self, seconds: float) -> str:
        """Give what it shows so many real seconds after it began, such as Fri 20:04; at midnight it stops."""
        at = min(self.played + timedelta(seconds=seconds * self.speed), _LAST_MINUTE)
        return f"Fri {at // _HOUR:02}:{at % _HOUR // _MINUTE:02}"

    def spans(self, last: datetime) -> list[Span]:
        """Give the whole day, and then its hours, until a time of the shop's that belongs to them."""
        over = last + _INSTANT
        found = [Span("The day", self.began, over)]
        hour, begin = int(self.played / _HOUR), self.began
        while begin < over:
            end = self.began + ((hour + 1) * _HOUR - self.played) / self.speed
            found.append(Span(f"{hour % 24:02}:00", begin, min(end, over)))
            hour, begin = hour + 1, end
        return found


@dataclass(frozen=True, slots=True)
class Entry:
    """An order in the journal of those who ordered: what they were told of it."""

    placed_at: datetime
    status: str
    pizzas: int
    total: Decimal


@dataclass(frozen=True, slots=True)
class Takings:
    """What some time came to: ``sales`` were paid for delivered orders, ``forgone`` is the value of cancelled ones."""

    placed: int
    delivered: int
    pizzas: int
    sales: Decimal
    cancelled: int
    forgone: Decimal

    def as_json(self) -> dict[str, Any]:
        """Give all of it, money as text."""
        return {name: f"{value:.2f}" if isinstance(value, Decimal) else value for name, value in asdict(self).items()}


def by_journal(entries: Iterable[Entry], span: Span) -> Takings:
    """Add up what was placed in some of the day."""
    within = [entry for entry in entries if span.begin <= entry.placed_at < span.end]
    sold = [entry for entry in within if entry.status == "delivered"]
    cancelled = [entry for entry in within if entry.status == "cancelled"]
    return Takings(
        len(within),
        len(sold),
        sum(entry.pizzas for entry in sold),
        sum((entry.total for entry in sold), Decimal(0)),
        len(cancelled),
        sum((entry.total for entry in cancelled), Decimal(0)),
    )


def by_figures(report: Report) -> Takings:
    """Give what the shop's figures say."""
    totals, cancelled = report.totals, report.cancelled
    return Takings(report.placed, totals.orders, totals.pizzas, totals.sales, cancelled.orders, cancelled.value)


def differences(span: Span, journal: Takings, figures: Takings) -> Iterator[str]:
    """Say in sentences where the two do not agree."""
    said, counted = journal.as_json(), figures.as_json()
    for name in said:
        if said[name] != counted[name]:
            yield f"{span.name}: {name} {counted[name]} by the shop's figures, {said[name]} by those who ordered."
