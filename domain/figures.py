"""Figures: what was ordered and how fast it was made, kept in tables of their own and written by handlers."""

from collections.abc import Sequence

from domain.events import OrderCancelled, OrderDelivered, OrderPlaced, OrderReady
from domain.kernel.unit_of_work import UnitOfWork


def efficiency_score(preparation_time: int, estimated: int) -> float:
    """Estimated over actual preparation time, both in seconds: 1 is as promised, 2 twice as fast. At most 10."""
    return min(10.0, round(max(estimated, 1) / max(preparation_time, 1), 3))


def track_orders(work: UnitOfWork, placed: Sequence[OrderPlaced]) -> None:
    """Keep value, size, time and kind of customer of each order, and for when it was promised."""
    work.insert(
        "order_metrics",
        [
            {
                "order_id": order.order_id,
                "customer_id": order.customer_id,
                "order_value": order.total_amount,
                "item_count": sum(item.quantity for item in order.items),
                "order_time": order.placed_at,
                "customer_type": "returning" if order.returning_customer else "new",
                "fulfilment": order.fulfilment,
                "promised_at": order.estimated_delivery_time,
            }
            for order in placed
        ],
    )


def track_lines(work: UnitOfWork, placed: Sequence[OrderPlaced]) -> None:
    """Keep what each line of each order was for, and what it came to before tax."""
    work.insert(
        "sales_lines",
        [
            {
                "order_id": order.order_id,
                "line": number,
                "order_time": order.placed_at,
                "pizza": item.pizza,
                "name": item.name,
                "size": item.size,
                "quantity": item.quantity,
                "revenue": item.unit_price * item.quantity,
            }
            for order in placed
            for number, item in enumerate(order.items, 1)
        ],
    )


def track_preparation(work: UnitOfWork, ready: Sequence[OrderReady]) -> None:
    """Keep how long each order took to make, in seconds, and how that compares with the estimate."""
    work.insert(
        "preparation_metrics",
        [
            {
                "order_id": order.order_id,
                "preparation_time": order.preparation_time,
                "efficiency_score": efficiency_score(order.preparation_time, order.estimated_preparation_time),
                "ready_at": order.ready_at,
            }
            for order in ready
        ],
    )


def track_outcomes(work: UnitOfWork, ended: Sequence[OrderDelivered | OrderCancelled]) -> None:
    """Keep how each order ended, and why."""
    work.insert(
        "order_outcomes",
        [
            {
                "order_id": order.order_id,
                "outcome": "cancelled" if isinstance(order, OrderCancelled) else "delivered",
                "reason": order.reason if isinstance(order, OrderCancelled) else None,
                "at": order.cancelled_at if isinstance(order, OrderCancelled) else order.delivered_at,
            }
            for order in ended
        ],
    )
