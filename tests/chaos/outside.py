"""The world outside: an SMS service and a mail server, each with a journal of its own of what it was asked to send."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from typing import Any, NamedTuple

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from tests.conftest import free_port
from tests.fakes import twilio
from tests.fakes.twilio import FakeTwilio, Sent

WORKERS = {"sms": "sms", "mail": "email"}
"""Which worker calls each service."""


class Call(NamedTuple):
    """One message that went out: the key it came with, when, and whether the caller was told."""

    key: str
    at: float
    answered: bool


class _Sent(list[Sent]):
    """The SMS service's journal, with the times."""

    def __init__(self, service: FakeTwilio) -> None:
        super().__init__()
        self._service = service
        self.calls: list[Call] = []

    def append(self, sent: Sent) -> None:
        super().append(sent)
        self.calls.append(Call(sent.key, time.time(), self._service.mood != "mute"))


class Mailbox:
    """Takes every mail. Moods: well, busy (451), mute (takes it, and hangs up before it says so)."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.mood = "well"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802 - the server's name
        if self.mood == "busy":
            return "451 Try again later"
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        self.calls.append(Call(str(mail["X-Idempotency-Key"]), time.time(), self.mood != "mute"))
        if self.mood == "mute":
            server.transport.abort()
        return "250 Taken"


@dataclass(frozen=True)
class Outside:
    """Both services; ``settings`` are those that lead a pizzeria to them."""

    sms: FakeTwilio
    mail: Mailbox
    settings: dict[str, object]
    _sent: _Sent

    def calls(self) -> dict[str, list[Call]]:
        """Give what each was asked to send, oldest first."""
        return {"sms": list(self._sent.calls), "mail": list(self.mail.calls)}


@contextlib.contextmanager
def running() -> Iterator[Outside]:
    """Serve until the end of the block."""
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    with twilio.running() as sms:
        sms.journal = sent = _Sent(sms)
        controller.start()
        try:
            yield Outside(
                sms,
                mailbox,
                {
                    "sms": "twilio",
                    "twilio_url": sms.url,
                    "twilio_account_sid": twilio.ACCOUNT,
                    "twilio_auth_token": twilio.TOKEN,
                    "twilio_from": twilio.SENDER,
                    "smtp_url": f"smtp://127.0.0.1:{controller.port}",
                },
                sent,
            )
        finally:
            controller.stop()
