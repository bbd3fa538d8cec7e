"""Who speaks with a RabbitMQ over TLS, speaks only with one whose certificate is trusted and bears the host's name."""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domain.settings import settings
from tasks.gateways import exchange
from tests.fakes import certificate

pytestmark = pytest.mark.unit


class Server:
    """Takes one connection over TLS, keeps the first bytes that are said, and hangs up."""

    def __init__(self, own: Path) -> None:
        self.heard = b""
        self._context = certificate.context(own)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"amqps://localhost:{self._socket.getsockname()[1]}//"
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def ends(self) -> None:
        self._thread.join(10)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._socket.accept()
            self._socket.close()
            with self._context.wrap_socket(connection, server_side=True) as speaking:
                self.heard = speaking.recv(4)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()
    exchange._producer.cache_clear()


def by_celery() -> None:
    """Connect as relay and workers do, in a process of its own: there is one application in each."""
    subprocess.run([sys.executable, "-c", "from tasks.celery import app; app.connection_for_write().connect()"])


@pytest.mark.parametrize("connect", [exchange._producer, by_celery], ids=["target", "broker"])
@pytest.mark.parametrize(("name", "heard"), [("localhost", b"AMQP"), ("elsewhere.example", b"")])
def test_nothing_is_said_to_a_rabbitmq_whose_certificate_is_for_another_host(
    connect: Callable[[], object], name: str, heard: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = certificate.make(tmp_path, name)
    server = Server(trusted)
    for variable in ("PIZZERIA_EVENTS_AMQP_URL", "PIZZERIA_BROKER_URL"):
        monkeypatch.setenv(variable, server.url)
    monkeypatch.setenv("PIZZERIA_RESULTS_URL", "redis://nowhere")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with contextlib.suppress(OSError):  # it hangs up, at the latest
        connect()
    server.ends()
    assert server.heard == heard
