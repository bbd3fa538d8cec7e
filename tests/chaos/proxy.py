"""A small TCP proxy before a server, to cut connections or to let them hang."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any

_CHUNK = 65536
_LINGER_NOT = struct.pack("ii", 1, 0)

Place = tuple[str, int] | str
"""Where the server is: host and port, or the path of its socket."""


class Proxy:
    """Carries every connection to its port on to one server. Its commands may be given from any thread."""

    def __init__(self, server: Place) -> None:
        self._server = server
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._listener: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def open(self) -> None:
        """Begin to listen, on a free port at first, later on the same."""
        if not self._thread.is_alive():
            self._thread.start()
        self._do(self._listen)

    def cut(self) -> None:
        """Reset every connection; new ones are welcome."""
        self._do(self._reset)

    def hang(self) -> None:
        """Leave every connection open but carry nothing, and refuse new ones, until ``resume``."""
        self._do(self._hang)

    def resume(self) -> None:
        """Carry on, what was held back first."""
        self._do(self._resume)

    def close(self) -> None:
        """End for good."""
        self._do(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, what: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(what(), self._loop).result(10)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _hang(self) -> None:
        self._flowing.clear()
        if self._listener:
            self._listener.close()

    async def _resume(self) -> None:
        self._flowing.set()
        await self._listen()

    async def _reset(self) -> None:
        for writer in list(self._writers):
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            writer.transport.abort()

    async def _end(self) -> None:
        if self._listener:
            self._listener.close()
        await self._reset()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection, both ways, until either side ends it."""
        self._writers.add(writer)
        try:
            far_reader, far_writer = await self._connect()
        except OSError:
            self._writers.discard(writer)
            writer.transport.abort()
            return
        self._writers.add(far_writer)
        pumps = [
            asyncio.ensure_future(self._pump(reader, far_writer)),
            asyncio.ensure_future(self._pump(far_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for side in (writer, far_writer):
                self._writers.discard(side)
                side.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._server, str):
            return await asyncio.open_unix_connection(self._server)
        return await asyncio.open_connection(*self._server)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
