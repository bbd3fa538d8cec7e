"""Stripe's PaymentIntents, as far as the pizzeria uses them, with a journal of what it did."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

SECRET = "sk_test_pizza"
# Stripe's own payment methods for trying out: https://docs.stripe.com/testing
GOOD, REFUSED = "pm_card_visa", "pm_card_chargeDeclined"


@dataclass
class FakeStripe:
    """Answers as Stripe does. Moods: well, busy (429), down (500), mute (does it, but the answer never comes)."""

    intents: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: list[str] = field(default_factory=list)
    mood: str = "well"
    url: str = ""
    _answers: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    _asked: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)

    def answer(self, path: str, fields: dict[str, str], secret: str, key: str) -> tuple[int, dict[str, Any]]:
        """Take a request; one with a key used before is answered as then, and another one with it is refused."""
        if secret != f"Bearer {SECRET}":
            return 401, _error("invalid_request_error", None, "Invalid API Key provided")
        if self.mood == "busy":
            return 429, _error("invalid_request_error", "rate_limit", "Too many requests")
        if self.mood == "down":
            return 500, _error("api_error", None, "Something went wrong")
        if key in self._answers:
            if self._asked[key] != (path, fields):
                return 400, _error("idempotency_error", None, "Keys can only be used with the same parameters")
            return self._answers[key]
        self._asked[key] = path, fields
        self._answers[key] = self._do(path.removeprefix("/v1/").split("/"), fields)
        return self._answers[key]

    def _do(self, path: list[str], fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if path == ["payment_intents"]:
            return self._intend(fields)
        if path == ["refunds"]:
            intent = self.intents[fields["payment_intent"]]
            if intent["id"] in self.refunds:
                return 400, _error("invalid_request_error", "charge_already_refunded", "has already been refunded")
            self.refunds.append(intent["id"])
            return 200, {"id": f"re_{uuid4().hex}", "object": "refund", "status": "succeeded"}
        intent, step = self.intents[path[1]], path[2]
        if intent["status"] != "requires_capture":
            return 400, _error("invalid_request_error", "payment_intent_unexpected_state", "has a status", intent)
        intent["status"] = {"capture": "succeeded", "cancel": "canceled"}[step]
        return 200, dict(intent)

    def _intend(self, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if fields["payment_method"] == REFUSED:
            return 402, _error("card_error", "card_declined", "Your card was declined.")
        if fields["payment_method"] != GOOD:
            return 400, _error("invalid_request_error", "resource_missing", "No such PaymentMethod")
        held = fields["capture_method"] == "manual" and fields["confirm"] == "true"
        intent: dict[str, Any] = {
            "id": f"pi_{uuid4().hex}",
            "object": "payment_intent",
            "amount": int(fields["amount"]),
            "currency": fields["currency"],
            "status": "requires_capture" if held else "succeeded",
        }
        self.intents[intent["id"]] = intent
        return 200, dict(intent)


def _error(kind: str, code: str | None, message: str, intent: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"error": {"type": kind, "code": code, "message": message} | ({"payment_intent": intent} if intent else {})}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of callers that were killed."""


@contextmanager
def running() -> Iterator[FakeStripe]:
    """Serve on a free port of this machine until the end of the block."""
    stripe = FakeStripe()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            fields = {name: values[0] for name, values in parse_qs(body).items()}
            secret, key = self.headers.get("Authorization", ""), self.headers.get("Idempotency-Key", "")
            status, said = stripe.answer(self.path, fields, secret, key)
            if stripe.mood == "mute":
                self.close_connection = True
                return
            answer = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with _Server(("127.0.0.1", 0), Handler) as server:
        stripe.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield stripe
        finally:
            server.shutdown()
            thread.join()
