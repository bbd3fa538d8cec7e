"""Mail by SMTP. ``PIZZERIA_SMTP_URL`` says where; `pizzeria gateway email faulty` makes it fail while running."""

import re
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from functools import cache, partial
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog

from domain.messages import Message
from domain.settings import settings
from tasks.bus.retry import Permanent
from tasks.gateways import sandbox_messages
from tasks.gateways.switch import mode

TIMEOUT = 10
"""Seconds for each step of the SMTP conversation."""

MOST_SAID = 200
"""So many characters of what a server says are kept."""

_ENHANCED = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}\b")
_OURS = frozenset({530, 534, 535, 538})  # we are not logged in, or not as the server wants it
_TOO_MUCH = 552  # the mail is too large, or the mailbox too full for it
_OUR_FAULT = ("5.3.", "5.7.8", "5.7.9", "5.7.11")

logger = structlog.get_logger(__name__)


class MailUnavailableError(Exception):
    """The mail server does not take mail now."""


def send(message: Message, key: str) -> str:
    """Send a mail; gives what the server said. The Message-ID is made of the key, so a repetition can be told."""
    url = settings().smtp_url.get_secret_value()
    adapter = mode("email", settings().mail)
    if adapter == "faulty":
        raise MailUnavailableError("451 from the mail server (switched to faulty)")
    if adapter == "sandbox":
        return sandbox_messages.send(message, key)
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
    connect = partial(_OverTls, context=_trust()) if parts.scheme == "smtps" else _Plain
    try:
        with connect(parts.hostname or "localhost", parts.port or 0, timeout=TIMEOUT) as server:
            if parts.scheme == "smtp+starttls":
                server.starttls(context=_trust())
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(mail)
            return server.taken
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as refused:
        raise _judge(refused) from refused
    except (smtplib.SMTPException, OSError) as error:
        raise MailUnavailableError(f"The mail server does not answer: {type(error).__name__}") from error


@cache
def _trust() -> ssl.SSLContext:
    """Trust whom this machine trusts, or SSL_CERT_FILE names; smtplib by itself would trust everybody."""
    return ssl.create_default_context()


class _Plain(smtplib.SMTP):
    """Keeps what the server said when it took the mail, which smtplib does not tell."""

    taken = ""

    def data(self, msg: Any) -> tuple[int, bytes]:
        code, said = super().data(msg)
        self.taken = f"{code} {said.decode(errors='replace')}"[:MOST_SAID]
        return code, said


class _OverTls(smtplib.SMTP_SSL, _Plain):
    """The same, over TLS from the first byte."""


def judge(code: int, said: bytes) -> Exception:
    """Tell a refusal for good from one that may pass, by the server's own codes.

    The first digit of the enhanced code (RFC 3463) decides where there is one: a 550 with 4.7.1 is a 4. What is
    wrong with our login or the server (530, 535, and 5.3.x, 5.7.8 and the like) is nothing that a mail is to blame for:
    it is tried again, and parked in the end.
    """
    found = _ENHANCED.match(said)
    enhanced = found[0].decode() if found else ""
    told = f"{code} {enhanced}".strip()
    is_permanent = enhanced[0] == "5" if enhanced else code >= 500
    if is_permanent and (code == _TOO_MUCH or (code not in _OURS and not enhanced.startswith(_OUR_FAULT))):
        return Permanent(f"The mail server refused the mail with {told}.")
    return MailUnavailableError(f"The mail server put the mail off with {told}.")


def _judge(refused: smtplib.SMTPException) -> Exception:
    if isinstance(refused, smtplib.SMTPRecipientsRefused):
        return judge(*next(iter(refused.recipients.values())))
    code, said = getattr(refused, "smtp_code", 400), getattr(refused, "smtp_error", b"")
    if isinstance(refused, smtplib.SMTPSenderRefused) and code != _TOO_MUCH:  # every mail has the same sender
        return MailUnavailableError(f"The mail server refuses our sender with {code}.")
    return judge(code, said if isinstance(said, bytes) else str(said).encode())
