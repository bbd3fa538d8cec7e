"""Twilio's Messages resource, as far as the pizzeria uses it, with a journal of what it has sent."""

import json
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs
from uuid import uuid4

ACCOUNT, TOKEN, SENDER = "AC0123456789abcdef0123456789abcdef", "let-me-in", "+15005550006"
# Twilio's own numbers for trying out: https://www.twilio.com/docs/iam/test-credentials
NO_NUMBER, UNREACHABLE, NO_MOBILE, SILENT = "+15005550001", "+15005550002", "+15005550009", "+15005550004"
_REFUSED = {NO_NUMBER: 21211, UNREACHABLE: 21612, NO_MOBILE: 21614, SILENT: 21610}


class Sent(NamedTuple):
    """One text that went out to somebody's telephone."""

    key: str
    to: str
    body: str


@dataclass
class FakeTwilio:
    """Answers as Twilio does; ``mood`` says how it is today, ``seconds`` how long it takes.

    Moods: well, busy (429), down (503), mute (sends, but the answer never comes).
    """

    journal: list[Sent] = field(default_factory=list)
    mood: str = "well"
    seconds: float = 0
    retry_after: str = "1"
    url: str = ""

    def answer(self, account: str, fields: dict[str, list[str]], key: str) -> tuple[int, dict[str, object]]:
        """Take a request to send; gives the status and the body of the answer."""
        time.sleep(self.seconds)
        if account != f"{ACCOUNT}:{TOKEN}":
            return 401, _error(401, 20003, "Authenticate")
        if self.mood == "busy":
            return 429, _error(429, 20429, "Too Many Requests")
        if self.mood == "down":
            return 503, _error(503, 20503, "Service unavailable")
        to, body = fields.get("To", [""])[0], fields.get("Body", [""])[0]
        if to in _REFUSED:
            return 400, _error(400, _REFUSED[to], "The text cannot be sent to this number.")
        if len(body) > 1600:
            return 400, _error(400, 21617, "The text is too long.")
        self.journal.append(Sent(key, to, body))
        return 201, {"sid": f"SM{uuid4().hex}", "status": "queued", "to": to, "error_code": None}


def _error(status: int, code: int, message: str) -> dict[str, object]:
    return {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of callers that were killed."""


@contextmanager
def running() -> Iterator[FakeTwilio]:
    """Serve on a free port of this machine until the end of the block."""
    twilio = FakeTwilio()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or each answer waits 40 ms for the caller to acknowledge its headers

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            fields = parse_qs(self.rfile.read(length).decode())
            login = b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
            if self.path != f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json":
                status, said = 404, _error(404, 20404, "Not found")
            else:
                status, said = twilio.answer(login, fields, self.headers.get("Idempotency-Key", ""))
            if twilio.mood == "mute":
                self.close_connection = True
                return
            body = json.dumps(said).encode()
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", twilio.retry_after)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with _Server(("127.0.0.1", 0), Handler) as server:
        twilio.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield twilio
        finally:
            server.shutdown()
            thread.join()
