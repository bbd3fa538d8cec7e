"""A handler that one customer's orders kill, until there is an antidote in HOME. It is added to the shop's others."""

import os
import signal
from collections.abc import Sequence

from domain.events import OrderPlaced
from domain.kernel.unit_of_work import UnitOfWork
from domain.settings import settings
from tasks.bus.registry import handles

POISONER = "Lucrezia"
ANTIDOTE = "antidote"


@handles(OrderPlaced, personal=True)
def taste(placed: Sequence[OrderPlaced], shop: UnitOfWork) -> None:
    """Die of a poisoned order, with the whole process; whoever survives leaves word."""
    poisoned = [order for order in placed if order.customer_name == POISONER]
    if poisoned and not (settings().home / ANTIDOTE).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    for order in placed:
        shop.run("INSERT INTO switches (gateway, mode) VALUES (:id, 'tasted')", id=f"tasted-{order.order_id}")
