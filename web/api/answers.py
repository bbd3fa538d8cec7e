"""Orders and the menu as JSON: money as strings with two decimals, times in UTC with a Z."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from flask import request

from domain.menu import Menu
from domain.orders import TIMES, Order
from web.counter import counter


def money(amount: Decimal) -> str:
    """Write an amount with two decimals."""
    return f"{amount:.2f}"


def moment(at: datetime | None) -> str | None:
    """Write a time in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def _shop_url() -> str:
    """Give the shop's own address: PIZZERIA_PUBLIC_URL where it is set, for a request's Host can say anything."""
    return (counter().settings.public_url or f"{request.scheme}://{request.host}").rstrip("/")


def placed(order: Order) -> dict[str, Any]:
    """Give an order as its placing is answered."""
    return {
        "id": order.id,
        "tracking_url": f"{_shop_url()}/orders/{order.id}",
        "status": order.status,
        "code": order.code,
        "total": money(order.total),
        "subtotal": money(order.subtotal),
        "tax": money(order.tax),
        "currency": order.currency,
        "fulfilment": order.fulfilment,
        "payment": order.payment,
        "items": [
            {
                "pizza": item.pizza,
                "name": item.name,
                "size": item.size,
                "toppings": list(item.toppings),
                "quantity": item.quantity,
                "unit_price": money(item.unit_price),
                "line_total": money(item.unit_price * item.quantity),
                "note": item.note,
            }
            for item in order.items
        ],
        "estimated_ready_time": moment(order.estimated_ready_time),
        "estimated_delivery_time": moment(order.estimated_delivery_time),
        "placed_at": moment(order.placed_at),
    }


def whole(order: Order) -> dict[str, Any]:
    """Give an order as it stands. Of its customer only the name: whoever holds the id may see no more."""
    return (
        placed(order)
        | {"customer": {"name": order.name}, "note": order.note, "cancelled_reason": order.cancelled_reason}
        | times(order)
    )


def times(order: Order) -> dict[str, str | None]:
    """Give when an order reached each of its states."""
    return {name: moment(getattr(order, name)) for name in TIMES}


def menu(of: Menu, currency: str) -> dict[str, Any]:
    """Give all that can be ordered."""
    return {
        "currency": currency,
        "sizes": [{"id": size.id, "name": size.name} for size in of.sizes.values()],
        "toppings": [{"id": t.id, "name": t.name, "price": money(t.price)} for t in of.toppings.values()],
        "pizzas": [
            {
                "id": pizza.id,
                "name": pizza.name,
                "category": pizza.category,
                "description": pizza.description,
                "vegetarian": pizza.vegetarian,
                "sold_out": pizza.sold_out,
                "sold_out_sizes": [size for size in pizza.prices if size in pizza.sold_out_sizes],
                "prices": {size: money(price) for size, price in pizza.prices.items()},
            }
            for pizza in of.pizzas.values()
        ],
    }
