"""What a run is about: processes over a PostgreSQL and a Redis, seen through proxies, and killed by name."""

import contextlib
import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg.conninfo import conninfo_to_dict

from tests.chaos.plan import Kind
from tests.chaos.proxy import Proxy
from tests.conftest import Pizzeria, until

POSTGRES, REDIS, WEB = "postgres", "redis", "web"
TERMINAL = frozenset({"delivered", "cancelled"})
_LOOK_EVERY = 0.25
_SAY_EVERY = 5.0


class Order(NamedTuple):
    """An order as the database has it; the times are seconds since 1970."""

    id: str
    key: str
    status: str
    placed_at: float
    finished_at: float | None


@dataclass(slots=True)
class Findings:
    """What must not be, a sentence for each case."""

    lost: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)


class House(ABC):
    """One system under test. ``folder`` is its own."""

    name: str
    kinds: Sequence[Kind]
    words: Mapping[str, str]
    """What stands in the command line of each process, by the name that faults have for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._servers = Pizzeria(folder / "servers")
        self._everything = Pizzeria(folder)
        self.proxies: dict[str, Proxy] = {}
        self.points = folder / "points"
        """Where fail points are armed, in a house that has some."""
        self._direct: dict[str, str] = {}
        self.ending = contextlib.ExitStack()
        """What ends whatever was started, last first."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where orders are placed."""

    @abstractmethod
    def open(self) -> None:
        """Start everything and wait until orders are taken."""

    @abstractmethod
    def orders(self) -> list[Order]:
        """Read every order from the database."""

    @abstractmethod
    def unfinished(self) -> int:
        """Count what is still to be done: orders that are neither delivered nor cancelled, and the like."""

    def mend(self) -> dict[str, int]:
        """Do what an operator would, when all is over; gives what was parked, by handler."""
        return {}

    @abstractmethod
    def look(self, called: Set[str], findings: Findings) -> None:
        """Add what this house alone can know; ``called`` are the keys of all calls outside."""

    def check(self) -> list[str]:
        """Try the invariants; gives those that are violated."""
        return []

    def start_servers(self) -> None:
        """Run PostgreSQL and Redis, with a proxy before each."""
        self.ending.callback(self._servers.end)
        self._servers.start("services")
        urls = self._servers.services()
        self._direct = {POSTGRES: urls["database_url"], REDIS: urls["broker_url"]}
        where = urlsplit(urls["broker_url"])
        socket = f"{conninfo_to_dict(urls['database_url'])['host']}/.s.PGSQL.5432"
        self.proxies = {POSTGRES: Proxy(socket), REDIS: Proxy((str(where.hostname), int(where.port or 0)))}
        for proxy in self.proxies.values():
            proxy.open()
            self.ending.callback(proxy.close)

    @property
    def settings(self) -> dict[str, object]:
        """Give the settings that lead to the servers by way of the proxies."""
        password = urlsplit(self._direct[REDIS]).password
        postgres = f"127.0.0.1:{self.proxies[POSTGRES].port}"
        return {
            "database_url": f"postgresql://postgres@{postgres}/pizzeria?sslmode=disable&gssencmode=disable",
            "broker_url": f"redis://:{password}@127.0.0.1:{self.proxies[REDIS].port}/0",
        }

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database, past the proxy; one that starts again is waited for."""

        found: list[tuple[Any, ...]] = []

        def asked() -> bool:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.database_url) as connection:
                found[:] = connection.execute(sql.encode(), values).fetchall()
                return True
            return False

        until(asked, 30, "an answer of the database")
        return found

    def with_redis(self, what: Callable[["redis.Redis"], object]) -> None:
        """Talk to the broker, past the proxy; one that starts again is waited for."""

        def done() -> bool:
            with contextlib.suppress(redis.ConnectionError), redis.Redis.from_url(self.broker_url) as client:
                what(client)
                return True
            return False

        until(done, 30, "an answer of the broker")

    @property
    def database_url(self) -> str:
        """Where the database is, past the proxy."""
        return self._direct[POSTGRES]

    @property
    def broker_url(self) -> str:
        """Where the broker is, past the proxy."""
        return self._direct[REDIS]

    def pids(self, name: str) -> list[int]:
        """Wait until a process is there and give its pids, oldest first: a fault that strikes nobody is none."""
        return until(lambda: self._everything.pids(self.words[name]), 30, f"a process for {name}")

    def children(self, name: str) -> list[int]:
        """Give the pids of a process' own children."""
        return until(lambda: self._everything.children(self.words[name]), 30, f"children of {name}")

    def signal(self, pids: Sequence[int], number: signal.Signals) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def wait_until_finished(self, patience: float, say: Callable[[int], None]) -> bool:
        """Wait until nothing is to be done; false if that has come no nearer for ``patience`` seconds."""
        least, moved, said = self.unfinished(), time.monotonic(), 0.0
        while least:
            now = time.monotonic()
            if now - moved > patience:
                return False
            if now - said > _SAY_EVERY:
                say(least)
                said = now
            time.sleep(_LOOK_EVERY)
            left = self.unfinished()
            if left < least:
                least, moved = left, time.monotonic()
        return True
