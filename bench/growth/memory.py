"""The memory of each process while the pizzeria works for a long time."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.contest import ours
from bench.http.placing import load, serve
from bench.stage import Say, Stage, stage
from tasks.cli.embedded import free_port

SAMPLES = 10
_PROGRAMS = ("web", "relay", "worker")


def measure(events: int, rate: float, say: Say) -> dict[str, Any]:
    """Place orders at a rate until there are so many events; gives each process's resident memory in MB on the way.

    The first of the samples counts as the start: by then every process has done each of its things many times.
    """
    with stage(say, port=free_port()) as here:
        here.start(*ours(here))
        serve(here, here.pizzeria("web", "web"))
        sampling = _Sampling(here, events, say)
        sampling.start()
        try:
            while sampling.is_alive():
                load(here, f"--rate={rate}", f"--orders={max(1, round(rate * 10))}")
        finally:
            sampling.ending.set()
            sampling.join()
        return {
            "events": sampling.counted,
            "megabytes": sampling.found,
            "grown_by": {name: round(sizes[-1] / sizes[0] - 1, 3) for name, sizes in sampling.found.items()},
        }


class _Sampling(threading.Thread):
    """Looks how many events there are, and at each tenth of them how large every process is."""

    def __init__(self, here: Stage, events: int, say: Say) -> None:
        super().__init__(daemon=True)
        self.ending = threading.Event()
        self.counted: list[int] = []
        self.found: dict[str, list[float]] = {}
        self._here, self._events, self._say = here, events, say

    def run(self) -> None:
        while len(self.counted) < SAMPLES and not self.ending.wait(0.5):
            events = int(self._here.value("SELECT coalesce(max(position), 0) FROM events"))
            if events >= self._events * (len(self.counted) + 1) // SAMPLES:
                self.counted.append(events)
                self._say(f"  {events:,} events")
                for name, megabytes in processes(self._here.home):
                    self.found.setdefault(name, []).append(megabytes)


def processes(home: Path) -> Iterator[tuple[str, float]]:
    """Give each web, relay and worker process of a home, parents and children, with its resident memory in MB."""
    page = os.sysconf("SC_PAGE_SIZE")
    for entry in sorted(Path("/proc").iterdir(), key=lambda path: path.name.zfill(9)):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            ours = f"PIZZERIA_HOME={home}".encode() in (entry / "environ").read_bytes().split(b"\0")
            resident = int((entry / "statm").read_text().split()[1]) * page
        except OSError:
            continue
        program = next((name for name in _PROGRAMS if name.encode() in words), None)
        if ours and program:
            yield f"{program} {entry.name}", round(resident / 1e6, 1)
