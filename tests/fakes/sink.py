"""An endpoint for webhooks that keeps what it gets, and has moods."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Got(NamedTuple):
    """One request that was answered with success."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Sink:
    """Answers with ``status``, after ``seconds``; ``asked`` counts the requests, ``got`` keeps those that it took.

    One that ``drips`` sends these bytes again and again, and never the end of its answer.
    """

    status: int = 200
    seconds: float = 0
    drips: bytes = b""
    asked: int = 0
    got: list[Got] = field(default_factory=list)
    url: str = ""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of callers that hung up."""


@contextmanager
def running() -> Iterator[Sink]:
    """Serve on a free port of this machine until the end of the block."""
    sink = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sink.asked += 1
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            while sink.drips:
                self.wfile.write(sink.drips)
                time.sleep(0.1)
            time.sleep(sink.seconds)
            if 200 <= sink.status < 300:
                sink.got.append(Got(self.path, dict(self.headers.items()), body))
            self.send_response(sink.status)
            if 300 <= sink.status < 400:
                self.send_header("Location", sink.url + "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with _Server(("127.0.0.1", 0), Handler) as server:
        sink.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join()
