"""What an order must be by its events alone: the other half of the equation that its row has to satisfy."""

from collections.abc import Sequence
from typing import Any

from domain.events import OrderCancelled, OrderPlaced
from domain.kernel.event import Event, Recorded
from domain.orders import TRANSITIONS, Order


def fold(events: Sequence[Recorded[Event]]) -> dict[str, Any]:
    """Make the order that these events tell of. The first of them is that it was placed."""
    placed = events[0].event
    assert isinstance(placed, OrderPlaced)
    order: dict[str, Any] = {
        "id": placed.order_id,
        "customer_id": placed.customer_id,
        "name": placed.customer_name,
        "phone": placed.customer_phone,
        "email": placed.customer_email,
        "address": placed.delivery_address,
        "items": placed.items,
        "total": placed.total_amount,
        "currency": placed.currency,
        "fulfilment": placed.fulfilment,
        "payment": placed.payment,
        "placed_at": placed.placed_at,
        "estimated_ready_time": placed.estimated_ready_time,
        "estimated_delivery_time": placed.estimated_delivery_time,
        "status": "placed",
        "cancelled_reason": None,
    }
    for recorded in events[1:]:
        before, after = TRANSITIONS[type(recorded.event)]  # type: ignore[index]
        assert order["status"] in before, f"{recorded.event} after {order['status']}"
        order["status"] = after
        if isinstance(recorded.event, OrderCancelled):
            order["cancelled_reason"] = recorded.event.reason
    return order


def differences(order: Order, events: Sequence[Recorded[Event]]) -> dict[str, tuple[Any, Any]]:
    """Give each field in which an order's row is not what its events say: (row, events)."""
    told = fold(events)
    return {name: (getattr(order, name), value) for name, value in told.items() if getattr(order, name) != value}
