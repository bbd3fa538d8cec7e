"""What a mail server says, and whether trying again can help: a real server on this machine, by its own codes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from pydantic import SecretStr

from domain.messages import Message
from domain.settings import settings
from tasks.bus.retry import Permanent
from tasks.gateways import email
from tasks.gateways.email import MailUnavailableError
from tests.conftest import free_port
from tests.fakes import certificate

pytestmark = pytest.mark.unit

MAIL = Message("e:email", "email", "OrderPlaced", "o", "c", "ada@example.com", "Hello", "Order confirmed")


class Server:
    """Answers MAIL, RCPT and DATA with what it is told to."""

    mail = "250 OK"
    rcpt = "250 OK"
    data = "250 2.0.0 Ok: queued as 4F2"

    async def handle_MAIL(self, _server: object, _session: object, envelope: object, by: str, _options: object) -> str:  # noqa: N802
        envelope.mail_from = by  # type: ignore[attr-defined]
        return self.mail

    async def handle_RCPT(self, _server: object, _session: object, envelope: object, to: str, _options: object) -> str:  # noqa: N802
        envelope.rcpt_tos.append(to)  # type: ignore[attr-defined]
        return self.rcpt

    async def handle_DATA(self, *_: object) -> str:  # noqa: N802
        return self.data


@pytest.fixture(scope="module")
def running() -> Iterator[Controller]:
    controller = Controller(Server(), hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def server(running: Controller, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(settings(), "smtp_url", SecretStr(f"smtp://127.0.0.1:{running.port}"))
    monkeypatch.setattr(email, "mode", lambda _, configured: configured)
    handler: Server = running.handler
    yield handler
    handler.__dict__.clear()


def test_what_the_server_said_when_it_took_the_mail_is_the_answer(server: Server) -> None:
    assert email.send(MAIL, "e:email") == "250 2.0.0 Ok: queued as 4F2"
    server.data = f"250 {'x' * 400}"
    assert len(email.send(MAIL, "e:email")) == email.MOST_SAID


@pytest.mark.parametrize("at", ["rcpt", "data"])
@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ("550 5.1.1 No such user", Permanent, "550 5.1.1"),
        ("554 No", Permanent, "554"),
        ("552 5.2.2 Mailbox full", Permanent, "552 5.2.2"),
        ("450 4.7.1 Greylisted", MailUnavailableError, "450 4.7.1"),
        ("421 4.3.2 Too much to do", MailUnavailableError, "421 4.3.2"),
        ("452 Full", MailUnavailableError, "452"),
        ("550 4.7.1 Later, says who knows better", MailUnavailableError, "550 4.7.1"),
        ("451 5.1.1 For good, says who knows better", Permanent, "451 5.1.1"),
        ("550 5.3.0 Our disk", MailUnavailableError, "550 5.3.0"),
        ("530 5.7.0 Who are you?", MailUnavailableError, "530 5.7.0"),
        ("552 5.3.4 Too large for us", Permanent, "552 5.3.4"),
    ],
)
def test_a_refusal_is_judged_by_the_servers_own_codes(
    server: Server, at: str, said: str, kind: type[Exception], told: str
) -> None:
    setattr(server, at, said)
    with pytest.raises(kind) as refused:
        email.send(MAIL, "e:email")
    assert str(refused.value).endswith(f"with {told}.")
    assert "ada@example.com" not in str(refused.value)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("550 5.7.1 Sender address rejected", MailUnavailableError),
        ("553 Not yours", MailUnavailableError),
        ("451 4.7.1 Later", MailUnavailableError),
        ("552 5.3.4 Too large", Permanent),
        ("552 Too large", Permanent),
    ],
)
def test_a_server_that_refuses_the_sender_of_every_mail_is_tried_again(
    server: Server, said: str, kind: type[Exception]
) -> None:
    server.mail = said
    with pytest.raises(kind, match=said[:3]) as refused:
        email.send(MAIL, "e:email")
    assert "marios.example" not in str(refused.value)


@pytest.fixture
def send_trusting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], str]]:
    """Send the mail, trusting a certificate alone."""

    def send(trusted: Path) -> str:
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        email._trust.cache_clear()
        return email.send(MAIL, "e:email")

    yield send
    email._trust.cache_clear()


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
@pytest.mark.parametrize("name", ["localhost", "elsewhere.example"])
def test_over_tls_a_mail_goes_only_to_a_server_whose_certificate_is_trusted_and_bears_its_name(
    scheme: str, name: str, send_trusting: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = certificate.make(tmp_path / "own", name)
    how: dict[str, Any] = {"ssl_context" if scheme == "smtps" else "tls_context": certificate.context(own)}
    controller = Controller(Server(), hostname="127.0.0.1", port=free_port(), **how)
    controller.start()
    monkeypatch.setattr(settings(), "smtp_url", SecretStr(f"{scheme}://localhost:{controller.port}"))
    monkeypatch.setattr(email, "mode", lambda _, configured: configured)
    try:
        with pytest.raises(MailUnavailableError, match="SSLCertVerificationError"):
            send_trusting(certificate.make(tmp_path / "other", name))
        if name == "localhost":
            assert send_trusting(own).startswith("250")
        else:
            with pytest.raises(MailUnavailableError, match="SSLCertVerificationError"):
                send_trusting(own)
    finally:
        controller.stop()


def test_a_server_that_is_away_is_tried_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "smtp_url", SecretStr("smtp://127.0.0.1:1"))
    with pytest.raises(MailUnavailableError, match="does not answer"):
        email.send(MAIL, "e:email")
