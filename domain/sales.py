"""Sales over some days, as a manager reads them: summed when they are asked for, from the tables of the figures alone.

A sale is an order that the customer got: delivered, or collected. It counts at the time it was placed, by the shop's
clock, with what the customer paid. Cancelled orders and those still on their way are counted apart.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, text

MAX_DAYS = 366
USUAL_DAYS = 7
REASONS = 10
"""So many reasons for cancelling are named, the most frequent first; staff may write what they like."""
OTHER_REASONS = "Other reasons"

_CENT = Decimal("0.01")
_K = TypeVar("_K")

_DAY = re.compile(r"2\d{3}-\d{2}-\d{2}")

_CELLS = text("""
SELECT (m.order_time AT TIME ZONE :zone)::date AS day,
    extract(hour FROM m.order_time AT TIME ZONE :zone)::int AS hour,
    m.customer_type, e.outcome, count(*) AS orders, sum(m.item_count) AS pizzas, sum(m.order_value) AS value
FROM order_metrics m LEFT JOIN order_outcomes e USING (order_id)
WHERE m.order_time >= :start AND m.order_time < :end
GROUP BY 1, 2, 3, 4
""")
# A pizza may have been renamed: the rows of its last name come last.
_PIZZAS = text("""
SELECT l.pizza, l.name, l.size, sum(l.quantity) AS quantity, sum(l.revenue) AS revenue
FROM sales_lines l JOIN order_outcomes e USING (order_id)
WHERE l.order_time >= :start AND l.order_time < :end AND e.outcome = 'delivered'
GROUP BY 1, 2, 3 ORDER BY max(l.order_time), 2, 3
""")
# Late is a delivery at the door, or a pickup at the counter, after the time that the customer was told when ordering.
_PREPARATION = text("""
SELECT count(preparation_time) AS made, count(late) AS promised, count(*) FILTER (WHERE late) AS late,
    percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY preparation_time) AS seconds
FROM (
    SELECT p.preparation_time, CASE WHEN e.outcome = 'delivered'
        THEN CASE m.fulfilment WHEN 'pickup' THEN p.ready_at ELSE e.at END > m.promised_at END AS late
    FROM order_metrics m
    LEFT JOIN preparation_metrics p USING (order_id)
    LEFT JOIN order_outcomes e USING (order_id)
    WHERE m.order_time >= :start AND m.order_time < :end
) made
""")
_REASONS = text("""
SELECT e.reason, count(*) AS orders, sum(m.order_value) AS value
FROM order_metrics m JOIN order_outcomes e USING (order_id)
WHERE m.order_time >= :start AND m.order_time < :end AND e.outcome = 'cancelled'
GROUP BY 1 ORDER BY 2 DESC, 3 DESC, 1
""")


class Sums(msgspec.Struct, frozen=True):
    """Orders that customers got, the pizzas in them, and what was paid for them, tax included."""

    orders: int = 0
    pizzas: int = 0
    sales: Decimal = Decimal("0.00")

    @property
    def average(self) -> Decimal:
        """What an order came to, on the average, to the cent."""
        return (self.sales / max(self.orders, 1)).quantize(_CENT, ROUND_HALF_UP)


class Day(Sums, frozen=True, kw_only=True):
    """What was ordered on one day of the shop's calendar."""

    day: date


class Hour(Sums, frozen=True, kw_only=True):
    """What was ordered in one hour of the clock, 0 to 23, on all the days together."""

    hour: int


class Size(msgspec.Struct, frozen=True):
    """What was sold of a pizza in one size; revenue is before tax."""

    size: str
    quantity: int
    revenue: Decimal


class Pizza(msgspec.Struct, frozen=True):
    """What was sold of a pizza under its last name; revenue is before tax."""

    pizza: str
    name: str
    quantity: int
    revenue: Decimal
    rank_by_revenue: int
    sizes: Sequence[Size]


class Customers(msgspec.Struct, frozen=True):
    """Sales to those who ordered for the first time, and to those who had before."""

    new: Sums
    returning: Sums


class Preparation(msgspec.Struct, frozen=True):
    """How long ``made`` orders took from the order to the pass, in seconds, and how many customers were kept waiting.

    The median and the 95th percentile are the nearest rank: times that occurred. Of ``promised`` orders that customers
    got, ``late`` came later than they were told when ordering; ``late_rate`` is the part of these, None of no orders.
    """

    made: int
    median_seconds: int | None
    p95_seconds: int | None
    promised: int
    late: int
    late_rate: float | None


class Reason(msgspec.Struct, frozen=True):
    """Why orders were cancelled, and what they would have come to."""

    reason: str
    orders: int
    value: Decimal


class Cancelled(msgspec.Struct, frozen=True):
    """Orders that were not made, and what they would have come to."""

    orders: int
    value: Decimal
    reasons: Sequence[Reason]


class Report(msgspec.Struct, frozen=True):
    """Everything about some days. ``pizzas`` are sorted by quantity; ``hours`` go from the first sale to the last."""

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    timezone: str
    currency: str
    placed: int
    under_way: int
    cancelled: Cancelled
    totals: Sums
    average: Decimal
    days: Sequence[Day]
    hours: Sequence[Hour]
    pizzas: Sequence[Pizza]
    customers: Customers
    preparation: Preparation


class DaysError(Exception):
    """No days that can be reported on; the message is a sentence that says why."""


class Days(msgspec.Struct, frozen=True):
    """The days of a report, the last one included."""

    first: date
    last: date

    def __iter__(self) -> Iterator[date]:
        """Give each of them."""
        return (self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1))

    def bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Give when the first one begins and when the last one is over, in UTC; some are 23 or 25 hours long."""
        after = self.last + timedelta(days=1)
        begin, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (self.first, after))
        return begin, end


def read_days(first: str | None, last: str | None, today: date) -> Days:
    """Read two days as people write them; without them it is the week that ends today. Raises DaysError."""
    end = _day(last) if last else today
    start = _day(first) if first else end - timedelta(days=USUAL_DAYS - 1)
    if start > end:
        raise DaysError(f"{start} comes after {end}: give the earlier day first.")
    if (end - start).days >= MAX_DAYS:
        raise DaysError(f"{start} to {end} is more than {MAX_DAYS} days: give fewer.")
    return Days(start, end)


def _day(said: str) -> date:
    try:
        if _DAY.fullmatch(said):
            return date.fromisoformat(said)
    except ValueError:
        pass
    raise DaysError(f"“{said[:40]}” is no day: write it as 2026-11-23.")


def report(
    connection: Connection, days: Days, timezone: str, currency: str, only: tuple[datetime, datetime] | None = None
) -> Report:
    """Sum up some days of the calendar, or ``only`` what was placed in them from one time to before another.

    The connection must give one unchanging state of the database.
    """
    start, end = only or days.bounds(ZoneInfo(timezone))
    within = {"start": start, "end": end}
    cells = connection.execute(_CELLS, within | {"zone": timezone}).all()
    sold = [cell for cell in cells if cell.outcome == "delivered"]
    totals = _sums(sold)
    return Report(
        first=days.first,
        last=days.last,
        timezone=timezone,
        currency=currency,
        placed=sum(cell.orders for cell in cells),
        under_way=sum(cell.orders for cell in cells if cell.outcome is None),
        cancelled=_cancelled(connection.execute(_REASONS, within).all()),
        totals=totals,
        average=totals.average,
        days=_days(sold, days),
        hours=_hours(sold),
        pizzas=_pizzas(connection.execute(_PIZZAS, within).all()),
        customers=Customers(*(_sums(c for c in sold if c.customer_type == kind) for kind in ("new", "returning"))),
        preparation=_preparation(connection.execute(_PREPARATION, within).one()),
    )


def _sums(cells: Iterable[Any]) -> Sums:
    every = list(cells)
    return Sums(
        sum(cell.orders for cell in every),
        sum(cell.pizzas for cell in every),
        sum((cell.value for cell in every), Decimal("0.00")),
    )


def _grouped(rows: Iterable[Any], key: Callable[[Any], _K]) -> dict[_K, list[Any]]:
    found: dict[_K, list[Any]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _days(sold: Iterable[Any], days: Days) -> list[Day]:
    found = _grouped(sold, lambda cell: cell.day)
    return [Day(*msgspec.structs.astuple(_sums(found.get(day, ()))), day=day) for day in days]


def _hours(sold: Iterable[Any]) -> list[Hour]:
    found = _grouped(sold, lambda cell: cell.hour)
    hours = range(min(found), max(found) + 1) if found else ()
    return [Hour(*msgspec.structs.astuple(_sums(found.get(hour, ()))), hour=hour) for hour in hours]


def _pizzas(rows: Iterable[Any]) -> list[Pizza]:
    found = {pizza: _sizes(of_it) for pizza, of_it in _grouped(rows, lambda row: row.pizza).items()}
    names = {row.pizza: row.name for row in rows}
    revenue = {pizza: sum((size.revenue for size in sizes), Decimal(0)) for pizza, sizes in found.items()}
    ranks = {pizza: rank for rank, pizza in enumerate(sorted(revenue, key=lambda p: (-revenue[p], names[p], p)), 1)}
    pizzas = [
        Pizza(pizza, names[pizza], sum(size.quantity for size in sizes), revenue[pizza], ranks[pizza], sizes)
        for pizza, sizes in found.items()
    ]
    return sorted(pizzas, key=lambda sold: (-sold.quantity, sold.rank_by_revenue))


def _sizes(rows: Iterable[Any]) -> list[Size]:
    sizes = [
        Size(size, sum(row.quantity for row in of_it), sum((row.revenue for row in of_it), Decimal(0)))
        for size, of_it in _grouped(rows, lambda row: row.size).items()
    ]
    return sorted(sizes, key=lambda sold: (-sold.quantity, -sold.revenue, sold.size))


def _preparation(row: Any) -> Preparation:
    median, p95 = row.seconds or (None, None)
    rate = round(row.late / row.promised, 4) if row.promised else None
    return Preparation(row.made, median, p95, row.promised, row.late, rate)


def _cancelled(rows: Sequence[Any]) -> Cancelled:
    named = [Reason(row.reason or "No reason was given.", row.orders, row.value) for row in rows[:REASONS]]
    if rest := rows[REASONS:]:
        named.append(Reason(OTHER_REASONS, sum(r.orders for r in rest), sum((r.value for r in rest), Decimal(0))))
    value = sum((row.value for row in rows), Decimal("0.00"))
    return Cancelled(sum(row.orders for row in rows), value, named)
