"""The payment service: ``PIZZERIA_PAYMENT`` says which, and `pizzeria gateway payment faulty` makes it fail."""

from dataclasses import dataclass
from typing import Protocol

from domain.settings import settings
from tasks.gateways.switch import mode


class PaymentUnavailableError(Exception):
    """Nobody knows what became of a payment: ask again, with the same key."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What is asked for: an amount in the currency's smallest unit, from a card that the service knows by its token."""

    order_id: str
    cents: int
    currency: str
    token: str


@dataclass(frozen=True, slots=True)
class Held:
    """The amount is held on the card; ``reference`` is the service's name for the payment."""

    reference: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The card was refused, for a reason that the customer may read."""

    reason: str


class PaymentService(Protocol):
    """A payment service. With a key used before, each call does nothing anew and answers as it did.

    All raise PaymentUnavailableError where nobody knows what became of it, and Permanent where repeating cannot help.
    """

    def authorise(self, charge: Charge, key: str) -> Held | Declined:
        """Hold an amount."""

    def capture(self, reference: str, key: str) -> None:
        """Take what is held."""

    def void(self, reference: str, key: str) -> None:
        """Let go of what is held."""

    def refund(self, reference: str, key: str) -> None:
        """Give back what was taken."""


class _Faulty:
    """A payment service that is down."""

    def authorise(self, charge: Charge, key: str) -> Held | Declined:
        raise self._down()

    def capture(self, reference: str, key: str) -> None:
        raise self._down()

    void = refund = capture

    @staticmethod
    def _down() -> PaymentUnavailableError:
        return PaymentUnavailableError("503 from the payment service (switched to faulty)")


def service() -> PaymentService:
    """Give the payment service that is in use now."""
    from tasks.gateways import sandbox, stripe  # here, since they speak in the words above

    adapter = mode("payment", settings().payment)
    if adapter == "faulty":
        return _Faulty()
    return stripe.Stripe(settings()) if adapter == "stripe" else sandbox.Sandbox()
