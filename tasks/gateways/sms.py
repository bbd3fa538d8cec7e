"""The SMS service. ``PIZZERIA_SMS`` says which; `pizzeria gateway sms faulty` makes it fail while running."""

import structlog

from domain.messages import Message
from domain.settings import settings
from tasks.bus.retry import Permanent
from tasks.gateways import sandbox_messages, twilio
from tasks.gateways.switch import mode

logger = structlog.get_logger(__name__)


def send(message: Message, key: str) -> str:
    """Send a message; gives the service's own name for it. The key lets a service that knows it drop a repetition."""
    adapter = mode("sms", settings().sms)
    if adapter == "faulty":
        raise twilio.SmsUnavailableError("503 from the SMS service (switched to faulty)")
    if adapter == "faulty:permanent":
        raise Permanent("400 from the SMS service: no such number (switched to faulty:permanent)")
    if adapter == "sandbox":
        return sandbox_messages.send(message, key)
    if adapter == "twilio":
        return twilio.send(settings(), message.recipient, message.body, key)
    return _console(message, key)


def _console(message: Message, key: str) -> str:
    """Show that a message would go out; to whom, and what, is in the message list: logs hold nothing personal."""
    logger.info("sms_shown_on_console", order_id=message.order_id, about=message.about, key=key)
    return "console"
