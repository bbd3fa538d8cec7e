"""Sales as a manager reads them: every figure is the one that was computed by hand, however events come."""

import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from uuid import uuid4
from zoneinfo import ZoneInfo

import msgspec
import pytest

from domain import sales
from domain.events import catalogue
from domain.sales import Day, Days, Sums
from tasks.bus import replay
from tasks.bus.inline import InlineBroker
from tasks.bus.relay import Message, Relay
from tests.conftest import until
from tests.integration.conftest import Shop
from tests.integration.october import (
    BY_HAND,
    HOURS_BY_HAND,
    ROME,
    SEEDED,
    TYPES,
    cancelled,
    delivered,
    item,
    placed,
    plain,
    record,
    report,
    run_analytics,
    spend,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def seeded(shop: Shop) -> Shop:
    spend(shop)
    return shop


def test_every_figure_is_the_one_computed_by_hand(seeded: Shop) -> None:
    found = plain(report(seeded))
    hours = {hour["hour"]: (hour["orders"], hour["pizzas"], hour["sales"]) for hour in found.pop("hours")}
    assert found == BY_HAND
    assert hours == dict.fromkeys(range(24), (0, 0, "0.00")) | HOURS_BY_HAND


@pytest.mark.parametrize("types", list(permutations(TYPES))[::5], ids=" ".join)
def test_events_in_any_order_and_twice_make_the_same_figures(shop: Shop, types: tuple[str, ...]) -> None:
    record(shop, *SEEDED)
    run_analytics(shop, types)
    first = plain(report(shop))
    shop.execute("UPDATE deliveries SET state = 'pending', done_at = NULL, dispatched_at = NULL")
    run_analytics(shop, types)
    assert plain(report(shop)) == first
    first.pop("hours")
    assert first == BY_HAND


def test_a_day_of_the_shop_has_the_hours_that_its_clock_had(shop: Shop) -> None:
    rome, havana = ZoneInfo(ROME), ZoneInfo("America/Havana")
    autumn, spring = date(2026, 10, 25), date(2026, 3, 29)
    lengths = [
        (end - begin) / timedelta(hours=1)
        for day in (date(2026, 10, 24), autumn, spring)
        for begin, end in [Days(day, day).bounds(rome)]
    ]
    assert lengths == [24, 25, 23]
    # In Havana the hour after midnight came twice on the first of November: the day begins with the first of them.
    begin, end = Days(date(2026, 11, 1), date(2026, 11, 1)).bounds(havana)
    assert (begin, end - begin) == (datetime(2026, 11, 1, 4, tzinfo=UTC), timedelta(hours=25))


def test_the_same_orders_lie_in_other_hours_and_days_by_another_clock(seeded: Shop) -> None:
    found = report(seeded, zone="UTC")
    assert [(day.day.day, day.orders, day.sales) for day in found.days] == [
        (24, 2, Decimal("46.20")),
        (25, 4, Decimal("116.35")),
    ]
    assert {hour.hour: hour.orders for hour in found.hours if hour.orders} == {0: 1, 1: 1, 17: 1, 21: 1, 22: 1, 23: 1}
    kathmandu = report(seeded, zone="Asia/Kathmandu")  # 5:45 ahead: the order of 0:30 UTC was placed at 6:15
    assert {hour.hour for hour in kathmandu.hours if hour.orders} == {3, 4, 6, 7, 22}


def test_a_spring_day_has_no_third_hour_and_loses_nothing(shop: Shop) -> None:
    moments = ("2026-03-29T00:30:00+00:00", "2026-03-29T01:30:00+00:00")  # 1:30 and 3:30 in Rome
    for number, moment in enumerate(moments):
        order = placed(f"s{number}", "24 10:00:00", "24 11:00:00", item("diavola", "small", 1, "9.60"))
        order = msgspec.structs.replace(order, placed_at=datetime.fromisoformat(moment))
        record(shop, order, delivered(f"s{number}", "24 10:30:00"))
    run_analytics(shop)
    found = report(shop, Days(date(2026, 3, 29), date(2026, 3, 29)))
    assert [(hour.hour, hour.orders) for hour in found.hours] == [(1, 1), (2, 0), (3, 1)]
    assert found.days == [Day(2, 2, Decimal("19.20"), day=date(2026, 3, 29))]


def test_days_without_sales_are_there_and_a_shop_without_any_has_zeros(shop: Shop) -> None:
    found = report(shop)
    assert [day.orders for day in found.days] == [0, 0]
    assert (found.placed, found.totals, found.average) == (0, Sums(), Decimal("0.00"))
    assert (found.hours, found.pizzas, found.cancelled.reasons) == ([], [], [])
    assert (found.preparation.made, found.preparation.median_seconds, found.preparation.late_rate) == (0, None, None)


def test_rare_reasons_are_summed_up(shop: Shop) -> None:
    for number in range(sales.REASONS + 2):
        order = placed(f"r{number}", "24 10:00:00", "24 11:00:00", item("diavola", "small", 1, "9.60"))
        record(shop, order, cancelled(f"r{number}", "24 10:01:00", f"Reason {number:02}."))
    run_analytics(shop)
    found = report(shop).cancelled
    assert (found.orders, len(found.reasons)) == (12, sales.REASONS + 1)
    assert found.reasons[-1] == sales.Reason(sales.OTHER_REASONS, 2, Decimal("19.20"))


class WithoutAnalytics(InlineBroker):
    """Keeps the messages of analytics: nobody takes them."""

    def publish(self, messages: Sequence[Message]) -> None:
        super().publish([message for message in messages if message.handler != "analytics"])


def test_analytics_that_was_stopped_catches_up_exactly(shop: Shop) -> None:
    for n in range(4):
        shop.order(fulfilment="pickup" if n == 3 else "delivery", address="1 Row" if n < 3 else None)
    relay = Relay(
        shop.database, WithoutAnalytics(shop.database, catalogue, shop.registry), lambda _: None, lambda: None
    )
    relay.turn()
    while not relay.idle:
        relay.measure()
        relay.turn()
    assert shop.value("SELECT count(*) FROM orders WHERE status = 'delivered'") == 4
    today = datetime.now(UTC).date()
    days = Days(today - timedelta(days=1), today + timedelta(days=1))
    assert report(shop, days, "UTC").placed == 0
    run_analytics(shop, ("OrderReady", "OrderDelivered", "OrderPlaced"))  # its messages have waited for it
    found = report(shop, days, "UTC")
    assert (found.totals.orders, found.totals.pizzas) == (4, 8)
    assert found.totals.sales == shop.value("SELECT sum(total) FROM orders")
    assert sum(pizza.revenue for pizza in found.pizzas) == shop.value("SELECT sum(subtotal) FROM orders")
    assert (found.preparation.made, found.preparation.promised) == (4, 4)


def test_replay_beside_new_orders_gives_identical_figures(seeded: Shop) -> None:
    right = plain(report(seeded))
    handler = seeded.registry.handlers["analytics"]
    ending = threading.Event()
    failures: list[BaseException] = []

    def traffic() -> None:
        try:
            while not ending.is_set():
                record(seeded, placed(uuid4().hex, "27 10:00:00", "27 11:00:00", item("diavola", "small", 2, "9.60")))
                run_analytics(seeded)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=traffic)
    thread.start()
    try:
        for table in handler.read_model:
            seeded.execute(f"DELETE FROM {table} WHERE order_id IN ('a', 'b', 'c', 'd')")
            seeded.execute("UPDATE sales_lines SET quantity = quantity + 1 WHERE order_id = 'p'")
            assert plain(report(seeded)) != right
            assert replay.replay(seeded.database, catalogue, handler).differences
            assert plain(report(seeded)) == right
        lines = "SELECT count(*) FROM sales_lines"
        before = seeded.value(lines)
        until(lambda: seeded.value(lines) > before, what="an order while figures are made anew")
    finally:
        ending.set()
        thread.join(30)
    assert not failures
    run_analytics(seeded)
    assert replay.replay(seeded.database, catalogue, handler, dry_run=True).differences == 0
    monday = report(seeded, Days(date(2026, 10, 27), date(2026, 10, 27)))
    assert (
        monday.placed
        == monday.under_way
        == seeded.value("SELECT count(*) FROM events WHERE data->>'placed_at' LIKE '2026-10-27%'")
    )
    assert plain(report(seeded)) == right
