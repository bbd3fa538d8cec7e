"""Loyalty points: earned when the customer has the order."""

from collections.abc import Sequence

from domain import loyalty
from domain.events import OrderDelivered
from domain.kernel.unit_of_work import UnitOfWork
from tasks.bus.registry import handles


@handles(OrderDelivered)
def earn_points(delivered: Sequence[OrderDelivered], shop: UnitOfWork) -> None:
    """Credit each customer, once for each order."""
    loyalty.earn(shop, [order.order_id for order in delivered])
