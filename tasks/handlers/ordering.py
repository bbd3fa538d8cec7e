"""The order itself: cancelled when the store lacks something for it, or its card is refused."""

from collections.abc import Sequence

from domain.events import PaymentDeclined, StockReservationFailed
from domain.kernel.unit_of_work import UnitOfWork
from domain.orders import Orders, Reason, cancel_all
from tasks.bus.registry import handles


@handles(StockReservationFailed)
def cancel_orders(failed: Sequence[StockReservationFailed], shop: UnitOfWork) -> None:
    """Cancel the orders, and say what was missing."""
    reasons = {}
    for failure in failed:
        missing = tuple(item.ingredient_name.lower() for item in failure.missing)
        reasons[failure.order_id] = Reason(f"We have run out of {', '.join(missing)}.", "sold_out", missing)
    cancel_all(Orders(shop, reasons), reasons, "the store")


@handles(PaymentDeclined)
def cancel_unpaid_orders(declined: Sequence[PaymentDeclined], shop: UnitOfWork) -> None:
    """Cancel the orders, and say why their payment failed."""
    reasons = {
        payment.order_id: Reason(payment.reason, payment.outcome and f"card_{payment.outcome}") for payment in declined
    }
    cancel_all(Orders(shop, reasons), reasons, "payments")
