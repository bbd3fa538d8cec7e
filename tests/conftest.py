"""What the tests share: a copy of the code, a way to run `pizzeria`, and the real servers."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from tests.rabbitmq import RabbitMQ

T = TypeVar("T")
TREE = Path(__file__).parents[1]

for _name in [name for name in os.environ if name.startswith("PIZZERIA_")]:
    del os.environ[_name]  # what is set in somebody's shell is not for the tests
# A shell that runs the tests in the background ignores Ctrl-C, and so would everything that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def until(condition: Callable[[], T], seconds: float = 30, what: str = "the condition") -> T:
    """Ask until the answer is truthy, and give it; fail after some seconds."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"{what} did not come to be within {seconds} s"
        time.sleep(0.05)
    return answer


def copy_code(target: Path, names: Iterable[str] = ("domain", "tasks", "web")) -> Path:
    """Copy the pizzeria's code, or whatever else is named, to be changed there; gives where that is."""
    for name in names:
        if (TREE / name).is_dir():
            shutil.copytree(TREE / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(TREE / name, target / name)
    return target


def _parent(pid: int) -> int | None:
    """Give a process' parent, None if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _ports() -> Iterator[int]:
    """Go round the ports of this process: those beside us have others, and what finds its own looks above these."""
    first = 12_000 + 1_000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8)
    return cycle(random.sample(range(first, first + 1_000), 1_000))


_next_ports = _ports()


def free_port() -> int:
    """Give a port that nothing listens on, and that nobody else will be given before it is used."""
    for port in _next_ports:
        with contextlib.suppress(OSError), socket.socket() as trial:
            trial.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable")


@dataclass
class Pizzeria:
    """Runs `pizzeria` commands as processes on a HOME of their own; ``end`` leaves none."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)
    _started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command; what it prints goes to a file, see ``output``."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PIZZERIA_")}
        with self.printed.open("a") as printed:
            process = subprocess.Popen(
                [sys.executable, "-m", "tasks.cli", *words],
                env={**clean, "PIZZERIA_HOME": str(self.home), "PYTHONUNBUFFERED": "1", **self.env},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                text=True,
            )
        self._started.append(process)
        return process

    def run(self, *words: str, seconds: float = 90) -> tuple[int, str]:
        """Run a command to its end; gives its exit code and what it printed."""
        before = len(self.output)
        code = self.start(*words).wait(seconds)
        return code, self.output[before:]

    @property
    def printed(self) -> Path:
        return self.home.with_name(f"{self.home.name}.printed")

    @property
    def output(self) -> str:
        return self.printed.read_text() if self.printed.exists() else ""

    def services(self) -> dict[str, str]:
        """Wait for services.json and give it."""
        path = self.home / "services.json"
        until(path.exists, 60, "services.json")
        found: dict[str, str] = json.loads(path.read_text())
        return found

    def processes(self) -> dict[int, str]:
        """Give every living process that was started on this HOME, with its command line."""
        mine = str(self.home).encode()
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes()
                # PostgreSQL's children overwrite their command line and environment, and stay in the data folder.
                traces = words + (entry / "environ").read_bytes() + os.readlink(entry / "cwd").encode()
            except OSError:
                continue
            if words and mine in traces:
                found[int(entry.name)] = words.replace(b"\0", b" ").decode()
        return found

    def pids(self, words: str) -> list[int]:
        """Give the processes whose command line holds these words, oldest first."""
        return sorted(pid for pid, line in self.processes().items() if words in line)

    def children(self, words: str) -> list[int]:
        """Give those of the processes called so that another of them started."""
        family = self.pids(words)
        return [pid for pid in family if _parent(pid) in family]

    def kill(self, *words: str) -> None:
        """Kill the processes called so with their whole groups, at once, and wait until each is back."""
        before = {name: self.pids(name) for name in words}
        for pid in [pid for name in words for pid in before[name]]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name, pids in before.items():
            assert pids, f"no process is called {name}"
            until(partial(self._others, name, pids), 30, f"{name} again")

    def _others(self, words: str, known: Sequence[int]) -> set[int]:
        return set(self.pids(words)).difference(known)

    def end(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._started:
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture
def pizzeria(tmp_path: Path) -> Iterator[Pizzeria]:
    """A pizzeria on ports and a HOME of its own, not started yet."""
    ports = {"PIZZERIA_PORT": str(free_port()), "PIZZERIA_FLOWER_PORT": str(free_port())}
    it = Pizzeria(tmp_path / "home", ports)
    yield it
    it.end()


def in_memory() -> Path | None:
    """Give a folder in memory, if there is one with much room: to make a database there costs a tenth."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > 8 * 1024**3 else None


@pytest.fixture(scope="session")
def services() -> Iterator[dict[str, str]]:
    """The embedded PostgreSQL and Redis, once for all tests: ``{"database_url", "broker_url"}``."""
    with tempfile.TemporaryDirectory(prefix="pizzeria-tests-", dir=in_memory(), ignore_cleanup_errors=True) as folder:
        servers = Pizzeria(Path(folder) / "home")
        servers.start("services")
        try:
            yield servers.services()
        finally:
            servers.end()


@pytest.fixture(scope="session")
def database_url(services: dict[str, str]) -> str:
    return services["database_url"]


@pytest.fixture(scope="session")
def broker_url(services: dict[str, str]) -> str:
    return services["broker_url"]


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator["RabbitMQ"]:
    """A RabbitMQ, once for all tests."""
    from tests.rabbitmq import RabbitMQ  # which knows this module

    server = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    try:
        server.start()
        yield server
    finally:
        server.end()
