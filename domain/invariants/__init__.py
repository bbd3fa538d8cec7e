"""What must be true of the pizzeria: its orders, store, kitchen, tours, money, messages, figures and customers."""

from domain.invariants.figures import FIGURES
from domain.invariants.kitchen import DELIVERY, KITCHEN
from domain.invariants.loyalty import LOYALTY
from domain.invariants.messages import MESSAGES
from domain.invariants.money import ACCOUNTS, PAYMENTS
from domain.invariants.orders import ORDERS, stuck
from domain.invariants.store import PROCUREMENT, STOCK
from domain.kernel.invariant import Invariant
from domain.settings import Settings


def invariants(settings: Settings) -> tuple[Invariant, ...]:
    """Give all of them."""
    return (
        *ORDERS,
        stuck(settings),
        *STOCK,
        *PROCUREMENT,
        *KITCHEN,
        *DELIVERY,
        *PAYMENTS,
        *MESSAGES,
        *FIGURES,
        *LOYALTY,
        *ACCOUNTS,
    )
