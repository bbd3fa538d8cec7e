"""House accounts: what a cancelled order was to cost is owed no more."""

from collections.abc import Sequence

from domain import accounts
from domain.events import OrderCancelled
from domain.kernel.unit_of_work import UnitOfWork
from tasks.bus.registry import handles


@handles(OrderCancelled, where={"payment": accounts.PAYMENT})
def give_credit_back(cancelled: Sequence[OrderCancelled], shop: UnitOfWork) -> None:
    """Give the credit back, once for each order."""
    accounts.give_back(shop, [order.order_id for order in cancelled])
