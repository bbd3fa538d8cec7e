"""Delivery: sends ready orders off with free drivers, and hands pickups over the counter."""

from collections.abc import Sequence

from domain.delivery import Dispatch
from domain.events import OrderReady
from domain.kernel.unit_of_work import UnitOfWork
from domain.settings import settings
from tasks.bus.registry import handles


@handles(OrderReady)
def dispatch_orders(ready: Sequence[OrderReady], shop: UnitOfWork) -> None:
    """See each order on its way; one without a driver, or on the road, is looked at again later."""
    unfinished = Dispatch(settings()).take(shop, ready)
    for order in ready:
        if order.order_id in unfinished:
            shop.postpone(order, unfinished[order.order_id], by_retry=True)
