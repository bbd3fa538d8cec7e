"""One keep-alive connection that does as little as HTTP allows: what measures must not be what is slow."""

import asyncio
import json
import re
from collections.abc import Callable

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)

_BODY = {
    "customer": {"name": "Guest of Honour", "phone": "+1212@@", "email": "guest@@@example.com"},
    "fulfilment": "delivery",
    "payment": "cash",
    "address": "12 Via Roma",
    "items": [
        {"pizza": "margherita", "size": "medium", "quantity": 1},
        {"pizza": "diavola", "size": "large", "quantity": 1},
    ],
}
_FIRST, _LAST = 2_000_000, 9_999_999  # the seven digits that a number in New York may end with


class Connection(asyncio.Protocol):
    """Asks one thing at a time; ``answered`` is given each answer's status, ``lost`` called if the server hangs up."""

    def __init__(self, answered: Callable[["Connection", int], None], lost: Callable[["Connection"], None]) -> None:
        self.asked_at = 0.0
        self._answered = answered
        self._lost = lost
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(self)

    def ask(self, request: bytes, at: float) -> None:
        """Send a request whose time began at ``at``."""
        assert self._transport
        self.asked_at = at
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._buffer, 0, head + 2)
        if length and len(self._buffer) < head + 4 + int(length[1]):
            return
        status = int(self._buffer[9:12])
        self._buffer.clear()
        self._answered(self, status)


def orders(port: int) -> Callable[[], bytes]:
    """Give a function that makes one request to place an order after the other, each by a customer of its own."""
    body = json.dumps(_BODY, separators=(",", ":")).encode().replace(b"%", b"%%")
    body = body.replace(b"@@@", b"%07d@").replace(b"@@", b"%07d")
    length = len(body % (_FIRST, _FIRST))
    head = (
        f"POST /api/orders HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    )
    request = head.encode() + body
    number = _FIRST

    def following() -> bytes:
        nonlocal number
        number = number + 1 if number < _LAST else _FIRST
        return request % (number, number)

    return following
