"""The kitchen: opens a ticket for each order and fires what has all it needs."""

from collections.abc import Sequence

from domain import kitchen
from domain.events import OrderCancelled, OrderPlaced, PaymentProcessed, StockReserved
from domain.kernel.unit_of_work import UnitOfWork
from domain.settings import settings
from tasks.bus.registry import handles


@handles(OrderPlaced)
def open_tickets(placed: Sequence[OrderPlaced], shop: UnitOfWork) -> None:
    """Open a ticket for each order."""
    kitchen.open_tickets(shop, placed)
    kitchen.Kitchen(settings()).fire(shop)


@handles(StockReserved)
def admit_tickets(reserved: Sequence[StockReserved], shop: UnitOfWork) -> None:
    """Let the tickets whose ingredients are put by into the oven."""
    kitchen.stock_is_reserved(shop, [reservation.order_id for reservation in reserved])
    kitchen.Kitchen(settings()).fire(shop)


@handles(PaymentProcessed)
def admit_paid_tickets(processed: Sequence[PaymentProcessed], shop: UnitOfWork) -> None:
    """Let the tickets whose money is held into the oven."""
    kitchen.is_paid(shop, [payment.order_id for payment in processed])
    kitchen.Kitchen(settings()).fire(shop)


@handles(OrderCancelled)
def take_tickets_away(cancelled: Sequence[OrderCancelled], shop: UnitOfWork) -> None:
    """Take the tickets of cancelled orders away."""
    kitchen.cancel_tickets(shop, [order.order_id for order in cancelled])
    kitchen.Kitchen(settings()).fire(shop)
