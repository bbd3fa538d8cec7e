"""The load of the bench: it counts what was answered, tells of refusals, and can itself place 300 orders a second."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer

import httpx
import pytest

from tests.conftest import free_port, until

pytestmark = pytest.mark.integration

ANSWER = b"HTTP/1.1 201 CREATED\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def trivial() -> Iterator[int]:
    """The port of a server that answers 201 to everything."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-m", "bench.http.trivial", str(port)]) as server:
        try:
            until(lambda: _answers(port), what="the server")
            yield port
        finally:
            server.terminate()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 201
    except httpx.TransportError:
        return False


def _load(port: int, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench.http.load", str(port), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.alone
def test_at_a_rate_every_order_is_placed_in_its_turn(trivial: int) -> None:
    ran = _load(trivial, "--rate=100", "--orders=50")

    said = json.loads(ran.stdout)
    assert said["refused"] == 0
    assert 60 < said["per_second"] <= 103
    assert 0 < said["p50"] <= said["p95"] <= said["p99"]


@pytest.mark.alone
def test_without_a_rate_more_than_300_a_second_are_placed_where_the_server_takes_them(trivial: int) -> None:
    said = json.loads(_load(trivial, "--warm=0.1", "--seconds=1").stdout)

    assert said["refused"] == 0
    assert said["per_second"] > 300


def test_a_server_that_hangs_up_is_no_result() -> None:
    ran = _load(free_port(), "--rate=10", "--orders=1")

    assert ran.returncode != 0
    assert ran.stdout == ""


class Patient(BaseRequestHandler):
    """Answers, and ends a connection that was not used for two seconds."""

    def handle(self) -> None:
        self.request.settimeout(2)
        try:
            while self.request.recv(4096):
                self.request.sendall(ANSWER)
        except TimeoutError:
            pass


class Rude(BaseRequestHandler):
    """Hangs up instead of answering."""

    def handle(self) -> None:
        self.request.recv(4096)


@contextmanager
def _serving(handler: type[BaseRequestHandler]) -> Iterator[int]:
    with ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_connection_that_the_server_ends_while_nobody_uses_it_is_no_failure() -> None:
    with _serving(Patient) as port:
        ran = _load(port, "--rate=4", "--orders=12", "--connections=4")
    assert (ran.returncode, json.loads(ran.stdout)["refused"]) == (0, 0)


def test_a_server_that_hangs_up_instead_of_answering_is_a_failure() -> None:
    with _serving(Rude) as port:
        ran = _load(port, "--rate=4", "--orders=1", "--connections=1")
    assert (ran.returncode, "The server hung up." in ran.stderr) == (1, True)
