"""Does things at their times beside what else is going on."""

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
    at the end of the block. ``tick`` is called every second or so meanwhile.
    """

    def __init__(self, doings: Iterable[Doing], tick: Callable[[], None]) -> None:
        self._doings = sorted(doings, key=lambda doing: doing.after)
        self._tick = tick
        self._over = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Agenda":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            while kind is None and self._thread.is_alive():
                self._thread.join(0.2)
        finally:
            self._over.set()
            self._thread.join()
        if self._failure and kind is None:
            raise self._failure

    def _run(self) -> None:
        started = time.monotonic()
        try:
            for doing in self._doings:
                while (left := started + doing.after - time.monotonic()) > 0:
                    if self._over.wait(min(left, _TICK)):
                        return
                    self._tick()
                doing.do(self._over)
        except Exception as error:
            self._failure = error
