"""Those who watch: event streams that are opened and read, and nothing else."""

import asyncio
from collections.abc import Sequence
from functools import partial


class Watcher(asyncio.Protocol):
    """Follows one order for as long as the process lives; ``opened`` is released once the stream has begun."""

    def __init__(self, port: int, order_id: str, opened: asyncio.Semaphore) -> None:
        self._request = f"GET /api/orders/{order_id}/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        self._opened = opened
        self._begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._begun:
            if b" 200 " not in data[:16]:
                raise SystemExit(f"A stream was answered with {data[:16]!r}.")
            self._begun = True
            self._opened.release()

    def eof_received(self) -> None:
        raise SystemExit("A stream ended.")


async def watch(port: int, order_ids: Sequence[str]) -> None:
    """Open an event stream for each order, and wait until all have begun."""
    loop, opened = asyncio.get_running_loop(), asyncio.Semaphore(0)
    for order_id in order_ids:
        await loop.create_connection(partial(Watcher, port, order_id, opened), "127.0.0.1", port)
    for _ in order_ids:
        await opened.acquire()
