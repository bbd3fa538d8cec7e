"""Payments by Stripe's PaymentIntents, captured by hand: https://docs.stripe.com/api/payment_intents."""

from collections.abc import Mapping
from typing import Any

from domain.settings import Settings
from tasks.bus.retry import Permanent, Wait
from tasks.gateways.http import client
from tasks.gateways.payment import Charge, Declined, Held, PaymentUnavailableError

BUSY_SECONDS = 2.0
_DECLINED = "The card was declined."


class Stripe:
    """Stripe as a payment service. It keeps keys for at least 24 hours."""

    def __init__(self, shop: Settings) -> None:
        self._url = f"{shop.stripe_url.rstrip('/')}/v1"
        self._secret = shop.stripe_secret_key

    def authorise(self, charge: Charge, key: str) -> Held | Declined:
        """Hold an amount: a PaymentIntent that is confirmed at once and captured later."""
        fields = {
            "amount": str(charge.cents),
            "currency": charge.currency.lower(),
            "payment_method": charge.token,
            "capture_method": "manual",
            "confirm": "true",
            "automatic_payment_methods[enabled]": "true",
            "automatic_payment_methods[allow_redirects]": "never",
            "metadata[order_id]": charge.order_id,
        }
        status, said = self._post("payment_intents", fields, key)
        if status == 402:
            return Declined(str(said.get("error", {}).get("message") or _DECLINED))
        self._refuse(status, said)
        if said.get("status") not in {"requires_capture", "succeeded", "canceled"}:
            return Declined("The card asks for a confirmation that cannot be given here.")
        return Held(str(said["id"]))

    def capture(self, reference: str, key: str) -> None:
        """Take what is held."""
        self._step(f"payment_intents/{reference}/capture", {}, key, done="succeeded")

    def void(self, reference: str, key: str) -> None:
        """Let go of what is held."""
        self._step(f"payment_intents/{reference}/cancel", {}, key, done="canceled")

    def refund(self, reference: str, key: str) -> None:
        """Give back what was taken."""
        self._step("refunds", {"payment_intent": reference}, key, done=None)

    def _step(self, path: str, fields: Mapping[str, str], key: str, done: str | None) -> None:
        """Have a payment take a step; that it was taken before is no error."""
        status, said = self._post(path, fields, key)
        error = said.get("error", {})
        was = error.get("payment_intent", {}).get("status")
        if error.get("code") == "charge_already_refunded" or (
            error.get("code") == "payment_intent_unexpected_state" and was == done
        ):
            return
        self._refuse(status, said)

    def _post(self, path: str, fields: Mapping[str, str], key: str) -> tuple[int, dict[str, Any]]:
        from httpx import TransportError

        secret = self._secret.get_secret_value() if self._secret else ""
        try:
            answer = client().post(
                f"{self._url}/{path}",
                data=fields,
                headers={"Authorization": f"Bearer {secret}", "Idempotency-Key": key},
            )
            said = answer.json()
        except (TransportError, ValueError) as error:
            raise PaymentUnavailableError(f"Stripe gives no answer: {type(error).__name__}") from error
        if not isinstance(said, dict):
            raise PaymentUnavailableError("Stripe's answer is none.")
        return answer.status_code, said

    @staticmethod
    def _refuse(status: int, said: Mapping[str, Any]) -> None:
        """Raise for an answer that is no success: by Stripe's own types, what repeating can help and what it cannot."""
        if status < 300:
            return
        error = said.get("error", {})
        text = f"Stripe refused with {status}, {error.get('type')}, {error.get('code')}."
        if status == 429:
            raise Wait(BUSY_SECONDS, text)
        if status == 409 or status >= 500 or error.get("type") == "api_error":
            raise PaymentUnavailableError(text)
        raise Permanent(text)
