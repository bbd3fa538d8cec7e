"""Two days in Rome, the night between them an hour longer than others, with every figure of theirs computed by hand."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from domain import sales
from domain.events import OrderCancelled, OrderDelivered, OrderEvent, OrderItem, OrderPlaced, OrderReady
from domain.sales import Days, Report
from tests.integration.conftest import Shop

ROME = "Europe/Rome"
OCTOBER = Days(date(2026, 10, 24), date(2026, 10, 25))  # the clocks go back at three in the morning of the 25th
TYPES = ("OrderPlaced", "OrderReady", "OrderDelivered", "OrderCancelled")


def at(moment: str) -> datetime:
    """Read a moment of October 2026: day, then time, UTC."""
    return datetime.fromisoformat(f"2026-10-{moment}").replace(tzinfo=UTC)


def item(pizza: str, size: str, quantity: int, price: str, name: str | None = None) -> OrderItem:
    shown = name or pizza.capitalize()
    return OrderItem(pizza=pizza, name=shown, size=size, quantity=quantity, unit_price=Decimal(price))


def placed(name: str, moment: str, promised: str, *items: OrderItem, **changes: Any) -> OrderPlaced:
    given: dict[str, Any] = {
        "order_id": name,
        "customer_id": f"customer of {name}",
        "items": items,
        "total_amount": sum((i.unit_price * i.quantity for i in items), Decimal(0)),
        "currency": "EUR",
        "fulfilment": "delivery",
        "payment": "cash",
        "estimated_ready_time": at(promised),
        "estimated_delivery_time": at(promised),
        "placed_at": at(moment),
    }
    return OrderPlaced(**(given | changes))


def ready(name: str, moment: str, seconds: int, fulfilment: str = "delivery") -> OrderReady:
    return OrderReady(
        order_id=name,
        customer_id="c",
        fulfilment=fulfilment,
        preparation_time=seconds,
        estimated_preparation_time=900,
        ready_at=at(moment),
    )


def delivered(name: str, moment: str, fulfilment: str = "delivery") -> OrderDelivered:
    return OrderDelivered(order_id=name, customer_id="c", fulfilment=fulfilment, delivered_at=at(moment))


def cancelled(name: str, moment: str, reason: str) -> OrderCancelled:
    return OrderCancelled(
        order_id=name, customer_id="c", reason=reason, cancelled_by="staff:x", cancelled_at=at(moment)
    )


SEEDED: tuple[OrderEvent, ...] = (
    # A minute before midnight in Rome: of the day before.
    placed("before", "23 21:59:59", "23 22:30:00", item("marinara", "small", 9, "7.00")),
    delivered("before", "23 22:20:00"),
    # 23:30 on Saturday: with 2.60 of tax; in time.
    placed("a", "24 21:30:00", "24 22:00:00", item("margherita", "large", 2, "13.00"), total_amount=Decimal("28.60")),
    ready("a", "24 21:40:00", 600),
    delivered("a", "24 22:00:00"),
    # 0:15 on Sunday, still Saturday in UTC: a pickup, ready five minutes late.
    placed(
        "b",
        "24 22:15:00",
        "24 22:40:00",
        item("diavola", "small", 1, "9.60"),
        item("margherita", "small", 1, "8.00"),
        fulfilment="pickup",
        returning_customer=True,
    ),
    ready("b", "24 22:45:00", 1800, "pickup"),
    delivered("b", "24 22:50:00", "pickup"),
    # 2:30, before the clocks go back: ten minutes late.
    placed("c", "25 00:30:00", "25 01:00:00", item("diavola", "medium", 3, "11.10")),
    ready("c", "25 00:45:00", 900),
    delivered("c", "25 01:10:00"),
    # 2:30 once more, an hour later; the pizza has another name now.
    placed(
        "d",
        "25 01:30:00",
        "25 02:00:00",
        item("margherita", "large", 1, "13.00", "Margherita DOP"),
        returning_customer=True,
    ),
    ready("d", "25 01:50:00", 1200),
    delivered("d", "25 01:59:59"),
    # A pickup that was ready in time and fetched an hour later is not late.
    placed("p", "25 17:00:00", "25 17:30:00", item("marinara", "small", 1, "7.05"), fulfilment="pickup"),
    ready("p", "25 17:30:00", 1800, "pickup"),
    delivered("p", "25 18:30:00", "pickup"),
    # 23:45 on Sunday.
    placed("e", "25 22:45:00", "25 23:00:00", item("margherita", "small", 1, "8.00")),
    cancelled("e", "25 22:46:00", "We are out of mozzarella."),
    placed("e2", "25 22:46:00", "25 23:00:00", item("margherita", "small", 2, "8.00")),
    cancelled("e2", "25 22:47:00", "We are out of mozzarella."),
    placed("e3", "25 22:47:00", "25 23:00:00", item("diavola", "small", 1, "9.60")),
    cancelled("e3", "25 22:48:00", "You asked us to."),
    # Not done yet.
    placed("f", "25 11:00:00", "25 11:30:00", item("diavola", "small", 1, "9.60")),
    # Midnight on Monday is no longer Sunday.
    placed("after", "25 23:00:00", "25 23:30:00", item("marinara", "small", 9, "7.00")),
    delivered("after", "25 23:20:00"),
)


def record(shop: Shop, *events: OrderEvent) -> None:
    with shop.database.begin("test") as work:
        for event in events:
            work.record(event)
    shop.fan_out()


def spend(shop: Shop) -> None:
    """Let these two days happen."""
    record(shop, *SEEDED)
    run_analytics(shop)


def run_analytics(shop: Shop, types: tuple[str, ...] = TYPES) -> None:
    for name in types:
        shop.run("analytics", name)


def report(shop: Shop, days: Days = OCTOBER, zone: str = ROME) -> Report:
    with shop.database.view() as connection:
        return sales.report(connection, days, zone, "EUR")


def plain(report: Report) -> Any:
    return json.loads(msgspec.json.encode(report))


BY_HAND = {
    "from": "2026-10-24",
    "to": "2026-10-25",
    "timezone": "Europe/Rome",
    "currency": "EUR",
    "placed": 9,
    "under_way": 1,
    "cancelled": {
        "orders": 3,
        "value": "33.60",
        "reasons": [
            {"reason": "We are out of mozzarella.", "orders": 2, "value": "24.00"},
            {"reason": "You asked us to.", "orders": 1, "value": "9.60"},
        ],
    },
    "totals": {"orders": 5, "pizzas": 9, "sales": "99.55"},  # 28.60 + 17.60 + 33.30 + 13.00 + 7.05
    "average": "19.91",
    "days": [
        {"orders": 1, "pizzas": 2, "sales": "28.60", "day": "2026-10-24"},
        {"orders": 4, "pizzas": 7, "sales": "70.95", "day": "2026-10-25"},
    ],
    "pizzas": [
        {
            "pizza": "margherita",
            "name": "Margherita DOP",
            "quantity": 4,
            "revenue": "47.00",
            "rank_by_revenue": 1,
            "sizes": [
                {"size": "large", "quantity": 3, "revenue": "39.00"},
                {"size": "small", "quantity": 1, "revenue": "8.00"},
            ],
        },
        {
            "pizza": "diavola",
            "name": "Diavola",
            "quantity": 4,
            "revenue": "42.90",
            "rank_by_revenue": 2,
            "sizes": [
                {"size": "medium", "quantity": 3, "revenue": "33.30"},
                {"size": "small", "quantity": 1, "revenue": "9.60"},
            ],
        },
        {
            "pizza": "marinara",
            "name": "Marinara",
            "quantity": 1,
            "revenue": "7.05",
            "rank_by_revenue": 3,
            "sizes": [{"size": "small", "quantity": 1, "revenue": "7.05"}],
        },
    ],
    "customers": {
        "new": {"orders": 3, "pizzas": 6, "sales": "68.95"},
        "returning": {"orders": 2, "pizzas": 3, "sales": "30.60"},
    },
    "preparation": {  # 600, 900, 1200, 1800, 1800
        "made": 5,
        "median_seconds": 1200,
        "p95_seconds": 1800,
        "promised": 5,
        "late": 2,
        "late_rate": 0.4,
    },
}
HOURS_BY_HAND = {0: (1, 2, "17.60"), 2: (2, 4, "46.30"), 18: (1, 1, "7.05"), 23: (1, 2, "28.60")}
