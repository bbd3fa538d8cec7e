"""How money, times and states look to people."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.numbers import format_currency
from flask import Flask

from domain.orders import Order, code_of
from domain.settings import Settings

STATUS_WORDS: Mapping[str, str] = {
    "placed": "Placed",
    "cooking": "In the oven",
    "ready": "Ready",
    "out_for_delivery": "On its way",
    "delivered": "Delivered",
    "cancelled": "Cancelled",
}
_PICKUP_WORDS = {"ready": "Ready for pickup", "delivered": "Collected"}

_DELIVERY_STEPS = ("placed", "cooking", "ready", "out_for_delivery", "delivered")
_PICKUP_STEPS = ("placed", "cooking", "ready", "delivered")


def status_words(order: Order) -> str:
    """Name the order's state."""
    words = {**STATUS_WORDS, **_PICKUP_WORDS} if order.fulfilment == "pickup" else STATUS_WORDS
    return words[order.status]


def steps(order: Order) -> Sequence[tuple[str, str, datetime | None]]:
    """Give the steps that this order takes: each with its state, its name, and when it was reached."""
    path = _PICKUP_STEPS if order.fulfilment == "pickup" else _DELIVERY_STEPS
    words = {**STATUS_WORDS, **_PICKUP_WORDS} if order.fulfilment == "pickup" else STATUS_WORDS
    return [(status, words[status], getattr(order, f"{status}_at")) for status in path]


def headline(order: Order) -> str:
    """Say in one sentence how the order stands."""
    pickup = order.fulfilment == "pickup"
    return {
        "placed": "We have your order.",
        "cooking": "Your pizzas are in the oven.",
        "ready": f"Ready! Say {order.code} at the counter." if pickup else "Ready, and leaving for your door soon.",
        "out_for_delivery": "On its way to your door.",
        "delivered": "Collected. Buon appetito!" if pickup else "Delivered. Buon appetito!",
        "cancelled": "This order was cancelled.",
    }[order.status]


def minutes(seconds: int) -> str:
    """Write a length of time."""
    return f"{seconds // 60} min {seconds % 60:02} s"


def register(app: Flask, settings: Settings) -> None:
    """Make the templates write money and times the shop's way."""
    zone = ZoneInfo(settings.timezone)

    def money(amount: Decimal) -> str:
        return format_currency(amount, settings.currency, locale="en_US")

    def clock(at: datetime) -> str:
        return at.astimezone(zone).strftime("%H:%M")

    def day_and_clock(at: datetime) -> str:
        return at.astimezone(zone).strftime("%d %b, %H:%M:%S")

    app.jinja_env.filters.update(
        money=money,
        clock=clock,
        day_and_clock=day_and_clock,
        minutes=minutes,
        code=code_of,
        status_words=status_words,
        headline=headline,
        steps=steps,
    )
    app.jinja_env.globals.update(tax_rate=settings.tax_rate, currency=settings.currency)
