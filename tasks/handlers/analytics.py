"""Figures about orders and the kitchen: a read model, which `pizzeria replay analytics` makes anew from the log."""

from collections.abc import Sequence

from domain import figures
from domain.events import OrderCancelled, OrderDelivered, OrderPlaced, OrderReady
from domain.kernel.unit_of_work import UnitOfWork
from tasks.bus.registry import handles


@handles(OrderPlaced, fills=("order_metrics", "sales_lines"))
def track_orders(placed: Sequence[OrderPlaced], shop: UnitOfWork) -> None:
    """Keep what was ordered, as a whole and line by line."""
    figures.track_orders(shop, placed)
    figures.track_lines(shop, placed)


@handles(OrderReady, fills="preparation_metrics")
def track_preparation(ready: Sequence[OrderReady], shop: UnitOfWork) -> None:
    """Keep how fast it was made."""
    figures.track_preparation(shop, ready)


@handles(OrderDelivered, OrderCancelled, fills="order_outcomes")
def track_outcomes(ended: Sequence[OrderDelivered | OrderCancelled], shop: UnitOfWork) -> None:
    """Keep how it ended."""
    figures.track_outcomes(shop, ended)
