"""Does things at their times beside what else is going on."""

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_TICK = 1.0


@dataclass(frozen=True, slots=True)
class Doing:
    """Something to be done, so many seconds from the beginning. ``do`` may be told by the event that all is over."""

    after: float
    do: Callable[[threading.Event], None]


class Agenda:
    """Does what is planned, one after the other and each at its time or later, in a thread of its own.

    A ``with`` block ends when everything is done, or at once where it raises. What fails ends the agenda, and is raised
    at the end of the block, until which ``tick`` is called every second or so.
    """

    def __init__(self, doings: Iterable[Doing], tick: Callable[[], object] = lambda: None) -> None:
        self._doings = sorted(doings, key=lambda doing: doing.after)
        self._tick = tick
        self._done, self._over = threading.Event(), threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Agenda":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._done.wait()
        finally:
            self._over.set()
            self._thread.join()
        if self._failure and kind is None:
            raise self._failure

    def _run(self) -> None:
        started = time.monotonic()
        try:
            for doing in self._doings:
                if self._is_over(started + doing.after):
                    return
                doing.do(self._over)
        except Exception as error:
            self._failure = error
        finally:
            self._done.set()
        self._is_over(math.inf)

    def _is_over(self, until: float) -> bool:
        """Tick until a time comes, or all is over; tells which."""
        while (left := until - time.monotonic()) > 0:
            if self._over.wait(min(left, _TICK)):
                return True
            self._tick()
        return self._over.is_set()
