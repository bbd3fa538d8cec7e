"""SMS by Twilio's Messages resource: https://www.twilio.com/docs/messaging/api/message-resource."""

from http import HTTPStatus
from typing import TYPE_CHECKING

from domain.settings import Settings
from tasks.bus.retry import Permanent, Wait
from tasks.gateways.http import client

if TYPE_CHECKING:
    import httpx  # below where it is used: a worker that sends nothing starts sooner without

BUSY_SECONDS = 5.0
"""How long to wait when Twilio says that it has too much to do, and not for how long."""
MOST_SECONDS = 300.0
"""The longest wait that Twilio may ask for: waiting is no attempt, and a text must not wait for ever."""

# What no repetition helps against (https://www.twilio.com/docs/api/errors): the number is none, cannot be reached, is
# no mobile's, may not be sent to, or has asked for silence; or the text is too long. All else may pass.
_FOR_GOOD = frozenset({21211, 21214, 21217, 21219, 21408, 21601, 21602, 21604, 21610, 21612, 21614, 21617})
_TOO_MUCH = frozenset({14107, 20429, 63018})


class SmsUnavailableError(Exception):
    """The SMS service does not take messages now."""


def send(shop: Settings, to: str, body: str, key: str) -> str:
    """Send a text; gives Twilio's own name for it. Twilio itself knows no keys: a repetition is sent twice.

    Raises Permanent for what repeating cannot help, Wait where there is too much to do, SmsUnavailableError else.
    """
    from httpx import TransportError

    token = shop.twilio_auth_token
    account = shop.twilio_account_sid or ""
    try:
        answer = client().post(
            f"{shop.twilio_url.rstrip('/')}/2010-04-01/Accounts/{account}/Messages.json",
            data={"To": to, "From": shop.twilio_from or "", "Body": body},
            auth=(account, token.get_secret_value() if token else ""),
            headers={"Idempotency-Key": key},
        )
        said = answer.json()
        if answer.status_code == 201:
            return str(said["sid"])
        code = int(said.get("code") or 0)
    except (TransportError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SmsUnavailableError(f"Twilio gives no answer: {type(error).__name__}") from error
    raise _judge(answer, code)


def _judge(answer: "httpx.Response", code: int) -> Exception:
    """Tell by Twilio's own code whether trying again can help."""
    said = f"Twilio refused the text with {answer.status_code}, error {code}."
    if code in _FOR_GOOD:
        return Permanent(said)
    if code in _TOO_MUCH or answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        after = answer.headers.get("Retry-After", "")
        return Wait(min(float(after), MOST_SECONDS) if after.isdecimal() else BUSY_SECONDS, said)
    return SmsUnavailableError(said)
