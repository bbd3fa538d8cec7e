"""A gunicorn worker that leaves a connection to a process that has fewer.

All processes listen on one socket. Whoever is awake when somebody calls takes the connection, and is awake because it
has more to do: of sixteen that come at once, one of two processes often got fifteen. The other then saved its few
orders one by one, a transaction each (docs/decisions/0017).
"""

import mmap
import time
from functools import partial
from typing import Any

from gevent.server import StreamServer
from gunicorn.workers.ggevent import GeventWorker

PATIENCE = 0.01
"""Seconds for which a connection is left to the others: one that hangs must not keep callers waiting."""
_LOOK = 0.001
"""Seconds between two looks."""
_MOST = 256
_ABSENT = 2**30


class Places:
    """Where each process tells the others how many connections it has. Made before they are forked."""

    def __init__(self) -> None:
        self._open = memoryview(mmap.mmap(-1, 4 * _MOST)).cast("i")
        for place in range(_MOST):
            self._open[place] = _ABSENT

    def give(self, arbiter: Any, worker: Any) -> None:
        """Give a worker that is about to be forked a place of its own; gunicorn's hook ``pre_fork``."""
        taken = {other.place for other in arbiter.WORKERS.values()}
        worker.places = self
        worker.place = next(place for place in range(_MOST) if place not in taken)
        self.leave(worker.place)

    def leave(self, place: int) -> None:
        """Take no connections: what is not there yet, or no more, is left nothing."""
        self._open[place] = _ABSENT

    def enter(self, place: int) -> None:
        """Begin to take connections."""
        self._open[place] = 0

    def add(self, place: int, number: int) -> None:
        """Have so many connections more."""
        if self._open[place] != _ABSENT:
            self._open[place] += number

    def is_ahead(self, place: int) -> bool:
        """Tell whether another process has fewer connections."""
        return self._open[place] > min(self._open)


class FairServer(StreamServer):  # type: ignore[misc] # gevent's servers have no types
    """Takes one connection at a time, and for a moment none, if another process has fewer."""

    max_accept = 1

    def __init__(self, listener: Any, places: Places, place: int, **options: Any) -> None:
        super().__init__(listener, **options)
        self._places, self._place = places, place
        self._left_at = 0.0

    def do_read(self) -> Any:
        """Take the connection that waits; gevent asks for it when there is one."""
        if self._places.is_ahead(self._place):
            now = time.monotonic()
            if now - self._left_at > 2 * PATIENCE:  # another one: the last was taken by somebody
                self._left_at = now
            if now - self._left_at < PATIENCE:
                self.stop_accepting()
                self._timer = self.loop.timer(_LOOK)
                self._timer.start(self._start_accepting_if_started)
                return None
        self._left_at = 0.0
        return super().do_read()

    def close(self) -> None:
        """Take no more."""
        self._places.leave(self._place)
        super().close()


class FairWorker(GeventWorker):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's gevent worker with such a server. ``places`` and ``place`` are given to it before the fork."""

    places: Places
    place: int

    def server_class(self, listener: Any, *, spawn: Any, **_: Any) -> FairServer:
        """Make the server, as gunicorn asks for one that is not gevent's own."""
        self.places.enter(self.place)
        return FairServer(listener, self.places, self.place, handle=partial(self.handle, listener), spawn=spawn)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve a connection to its end."""
        self.places.add(self.place, 1)
        try:
            super().handle(listener, client, addr)
        finally:
            self.places.add(self.place, -1)
