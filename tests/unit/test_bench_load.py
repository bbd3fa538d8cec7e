"""The load that the bench puts on a web server."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

pytestmark = pytest.mark.unit

ANSWER = b"HTTP/1.1 201 CREATED\r\nContent-Length: 2\r\n\r\n{}"


class Patient(BaseRequestHandler):
    """Answers, and ends a connection that was not used for a fifth of a second."""

    def handle(self) -> None:
        self.request.settimeout(0.2)
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
def server(handler: type[BaseRequestHandler]) -> Iterator[int]:
    with ThreadingTCPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, args=(0.05,)).start()
        yield serving.server_address[1]
        serving.shutdown()


def load(handler: type[BaseRequestHandler]) -> subprocess.CompletedProcess[str]:
    with server(handler) as port:
        words = (str(port), "--rate=20", "--orders=12", "--connections=4")
        return subprocess.run(
            [sys.executable, "-m", "bench.http.load", *words], capture_output=True, text=True, timeout=30, check=False
        )


def test_a_connection_that_the_server_ends_while_nobody_uses_it_is_no_failure() -> None:
    ended = load(Patient)
    assert (ended.returncode, json.loads(ended.stdout)["refused"]) == (0, 0)


def test_a_server_that_hangs_up_instead_of_answering_is_a_failure() -> None:
    ended = load(Rude)
    assert (ended.returncode, "The server hung up." in ended.stderr) == (1, True)
