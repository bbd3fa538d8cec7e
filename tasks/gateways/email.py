"""Mail by SMTP. ``PIZZERIA_SMTP_URL`` says where; `pizzeria gateway email faulty` makes it fail while running."""

import smtplib
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from urllib.parse import unquote, urlsplit

import structlog

from domain.messages import Message
from domain.settings import settings
from tasks.bus.retry import Permanent
from tasks.gateways.switch import mode

TIMEOUT = 10
"""Seconds for each step of the SMTP conversation."""

logger = structlog.get_logger(__name__)


class MailUnavailableError(Exception):
    """The mail server does not take mail now."""


def send(message: Message, key: str) -> str:
    """Send a mail; gives what the server said. The Message-ID is made of the key, so a repetition can be told."""
    url = settings().smtp_url.get_secret_value()
    adapter = mode("email", url if url in {"console", "faulty"} else "smtp")
    if adapter == "faulty":
        raise MailUnavailableError("451 from the mail server (switched to faulty)")
    if adapter == "console":
        about = {"order_id": message.order_id} if message.order_id else {"purchase_id": message.purchase_id}
        logger.info("mail_shown_on_console", **about, about=message.about, key=key)
        return "console"
    return _smtp(url, compose(message, key))


def compose(message: Message, key: str) -> EmailMessage:
    """Write the mail: plain text only, and no line of it can end up in a header."""
    mail = EmailMessage()
    sender = settings().mail_from
    mail["From"] = sender
    mail["To"] = message.recipient
    mail["Subject"] = " ".join((message.subject or "").split())
    mail["Date"] = formatdate(usegmt=True)
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    mail["Message-ID"] = f"<{key.replace(':', '.')}@{domain}>" if key else make_msgid(domain=domain)
    mail["X-Idempotency-Key"] = key
    mail.set_content(message.body)
    return mail


def _smtp(url: str, mail: EmailMessage) -> str:
    parts = urlsplit(url)
    connect = smtplib.SMTP_SSL if parts.scheme == "smtps" else smtplib.SMTP
    try:
        with connect(parts.hostname or "localhost", parts.port or 0, timeout=TIMEOUT) as server:
            if parts.scheme == "smtp+starttls":
                server.starttls()
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(mail)
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as refused:
        raise _judge(refused) from refused
    except (smtplib.SMTPException, OSError) as error:
        raise MailUnavailableError(f"The mail server does not answer: {type(error).__name__}") from error
    return "250"


def _judge(refused: smtplib.SMTPException) -> Exception:
    """Tell a refusal for good (5xx) from one that may pass (4xx), by the server's own code."""
    if isinstance(refused, smtplib.SMTPRecipientsRefused):
        code = next(iter(refused.recipients.values()))[0]
    else:
        code = getattr(refused, "smtp_code", 400)
    if code >= 500:
        return Permanent(f"The mail server refused the mail with {code}.")
    return MailUnavailableError(f"The mail server put the mail off with {code}.")
