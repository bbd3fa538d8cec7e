"""The store: puts by what an order needs; it is used when the order is made, and put back when it is cancelled."""

from collections.abc import Sequence

from domain import inventory
from domain.events import OrderCancelled, OrderPlaced, OrderReady, StockReservationFailed, StockReserved
from domain.kernel.unit_of_work import UnitOfWork
from tasks.bus.registry import handles


@handles(OrderPlaced)
def reserve_ingredients(placed: Sequence[OrderPlaced], shop: UnitOfWork) -> None:
    """Reserve what each order needs, or tell what is missing."""
    outcome = inventory.reserve(shop, {order.order_id: order.items for order in placed})
    for order_id, (needs, missing) in outcome.items():
        if missing:
            shop.record(StockReservationFailed(order_id=order_id, missing=missing))
        else:
            shop.record(StockReserved(order_id=order_id, ingredients=dict(needs)))


@handles(OrderReady)
def use_ingredients(ready: Sequence[OrderReady], shop: UnitOfWork) -> None:
    """Note that what was put by is on the pizzas now: what is baked is used, whether or not it reaches a door."""
    inventory.use(shop, [order.order_id for order in ready])


@handles(OrderCancelled)
def release_ingredients(cancelled: Sequence[OrderCancelled], shop: UnitOfWork) -> None:
    """Put back what the orders had reserved."""
    inventory.release(shop, [order.order_id for order in cancelled])
