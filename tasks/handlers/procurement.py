"""Procurement: buys what the store is low on; `tasks/handlers/email.py` tells the supplier."""

from collections.abc import Sequence

from domain import procurement
from domain.events import InventoryLow
from domain.kernel.unit_of_work import UnitOfWork
from tasks.bus.registry import handles


@handles(InventoryLow)
def order_ingredients(low: Sequence[InventoryLow], shop: UnitOfWork) -> None:
    """Order each ingredient from its supplier, unless it is on its way already."""
    procurement.order(shop, low)
