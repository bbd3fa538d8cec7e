"""A payment service to try things out with: it keeps books of its own, and its cards behave as their names say.

``tok_approve`` is good for any amount. ``tok_decline`` is refused. ``tok_timeout`` never gets an answer and is never
charged. ``tok_timeout_charged`` is charged, and the first answer is lost. ``tok_down`` finds the service down for its
first 30 seconds. There are no others.
"""

from typing import Any
from uuid import uuid4

from sqlalchemy import text

from domain.payments import DECLINE, DOWN, SANDBOX_CARDS, TIMEOUT, TIMEOUT_CHARGED
from tasks.bus.retry import Permanent
from tasks.database import database
from tasks.gateways.payment import Charge, Declined, Held, PaymentUnavailableError

DOWN_SECONDS = 30

_ASK = text("""
INSERT INTO sandbox.charges (key, reference, cents, currency, state) VALUES (:key, :reference, :cents, :currency, 'new')
ON CONFLICT (key) DO UPDATE SET asked = charges.asked + 1
RETURNING reference, state, cents, asked, clock_timestamp() - first_asked_at < make_interval(secs => :down) AS is_down
""")
_NOTE = text("UPDATE sandbox.charges SET state = :state WHERE reference = :reference")
_STEP = text("""
UPDATE sandbox.charges SET state = :to WHERE reference = :reference AND state IN (:from, :to) RETURNING reference
""")


class Sandbox:
    """The sandbox as a payment service."""

    def authorise(self, charge: Charge, key: str) -> Held | Declined:
        """Hold an amount, as the card's name says."""
        with database().engine.begin() as connection:
            asked = connection.execute(
                _ASK,
                {
                    "key": key,
                    "reference": f"sandbox_{uuid4().hex}",
                    "cents": charge.cents,
                    "currency": charge.currency,
                    "down": DOWN_SECONDS,
                },
            ).one()
            if asked.cents != charge.cents:
                raise Permanent("The payment service has this key for another amount.")
            state = _becomes(charge.token, asked)
            connection.execute(_NOTE, {"reference": asked.reference, "state": state})
        if state == "new" or (charge.token == TIMEOUT_CHARGED and asked.asked == 1):
            raise PaymentUnavailableError("The payment service does not answer.")
        return Declined("The card was declined.") if state == "declined" else Held(asked.reference)

    def capture(self, reference: str, key: str) -> None:
        """Take what is held."""
        self._step(reference, "held", "captured")

    def void(self, reference: str, key: str) -> None:
        """Let go of what is held."""
        self._step(reference, "held", "voided")

    def refund(self, reference: str, key: str) -> None:
        """Give back what was taken."""
        self._step(reference, "captured", "refunded")

    @staticmethod
    def _step(reference: str, before: str, after: str) -> None:
        with database().engine.begin() as connection:
            found = connection.execute(_STEP, {"reference": reference, "from": before, "to": after}).scalar()
        if found is None:
            raise Permanent(f"The payment service has no payment {reference} that is {before}.")


def _becomes(token: str, asked: Any) -> str:
    """Tell what a charge is once it was asked for with this card; one that was answered stays as it is."""
    if asked.state != "new":
        return str(asked.state)
    if token == TIMEOUT or (token == DOWN and asked.is_down):
        return "new"
    return "held" if token in SANDBOX_CARDS and token != DECLINE else "declined"
