"""One round of one contestant: fresh servers, a backlog, then two workers, until every order is at the door."""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
from sqlalchemy import Connection, Engine, create_engine, make_url, text

from bench import effects
from tasks.cli import CannotRun
from tasks.cli.programs import pizzeria
from tasks.cli.supervisor import Program, Supervisor

WORKERS = 2
STALL_SECONDS = 300
"""So long without any progress, and the round has failed."""
LOOK_SECONDS = 0.5

_ENVIRONMENT = {
    "PIZZERIA_BAKE_SECONDS": "0",
    "PIZZERIA_DRIVE_SECONDS": "0",
    "PIZZERIA_OVEN_CAPACITY": "1000",
    "PIZZERIA_DRIVERS": "1000",
    "PIZZERIA_STOCK": "ample",
    "PIZZERIA_LOG_LEVEL": "WARNING",  # Celery's own default
}


class FailedError(Exception):
    """A contestant did not do its job; the message says what is missing."""


@dataclass(frozen=True)
class Round:
    """What one round took, in seconds, and what it left behind."""

    contestant: str
    orders: int
    placing: float
    first_start_to_last_delivery: float
    process_start_to_last_delivery: float
    first_start_to_last_message: float
    effects: dict[str, int]


@dataclass(frozen=True)
class Contestant:
    """Who does the job: what runs beside the servers, and where the start of its first handler can be read."""

    name: str
    programs: Callable[[Path], list[Program]]
    first_start: str


def _ours(home: Path) -> list[Program]:
    workers = [pizzeria(home, f"worker-{n}", "worker", env=_ENVIRONMENT) for n in range(1, WORKERS + 1)]
    return [pizzeria(home, "relay", "relay", env=_ENVIRONMENT), *workers]


def _handwritten(home: Path) -> list[Program]:
    flags = ("--pool=prefork", "--concurrency=1", "--loglevel=WARNING", "--without-gossip", "--without-mingle")
    return [
        _python(home, f"worker-{n}", "celery", "-A", "bench.handwritten", "worker", *flags, f"--hostname=w{n}@%h")
        for n in range(1, WORKERS + 1)
    ]


OURS = Contestant("ours", _ours, "SELECT min(started_at) FROM deliveries")
HANDWRITTEN = Contestant("handwritten", _handwritten, "SELECT min(at) FROM bench_starts")


def run(contestant: Contestant, orders: int, say: Callable[[str], None]) -> Round:
    """Run one round on servers of its own. Raises FailedError, or CannotRun where it could not even begin."""
    with tempfile.TemporaryDirectory(prefix="pizzeria-bench-") as folder:
        home = Path(folder)
        (home / "log").mkdir(mode=0o700)
        with Supervisor(partial(_tell_deaths, say)) as supervisor:
            engine = _prepare(contestant, home, orders, supervisor, say)
            try:
                started = datetime.now(UTC)
                supervisor.start(contestant.programs(home))
                _wait(engine, orders, supervisor, say)
                return _measure(contestant, engine, orders, started)
            finally:
                engine.dispose()
    raise click.Abort  # a signal ended it


def _python(home: Path, name: str, *words: str) -> Program:
    env = _ENVIRONMENT | {"PIZZERIA_HOME": str(home)}
    return Program(name=name, argv=(sys.executable, "-m", *words), log=home / "log" / f"{name}.log", env=env)


def _tell_deaths(say: Callable[[str], None], sentence: str) -> None:
    if "died" in sentence:
        say(f"  {sentence}")


def _prepare(
    contestant: Contestant, home: Path, orders: int, supervisor: Supervisor, say: Callable[[str], None]
) -> Engine:
    """Start the servers, make the tables and place the backlog."""
    say(f"{contestant.name}: starting PostgreSQL and Redis")
    services = home / "services.json"
    supervisor.start([pizzeria(home, "services", "services")])
    if not supervisor.wait(services.exists, 60):
        raise CannotRun(f"The servers do not start: {_log(home, 'services')}")
    _once(supervisor, pizzeria(home, "migrate", "migrate", env=_ENVIRONMENT))
    url = make_url(json.loads(services.read_text())["database_url"])
    engine = create_engine(url.set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE bench_starts (at timestamptz NOT NULL)"))
    say(f"{contestant.name}: placing {orders} orders")
    _once(supervisor, _python(home, "place", "bench.place", contestant.name, str(orders)))
    return engine


def _once(supervisor: Supervisor, program: Program) -> None:
    if supervisor.run_once(program):
        raise CannotRun(f"{program.name} failed: {_log(program.log.parent.parent, program.name)}")


def _log(home: Path, name: str) -> str:
    """Give the end of a log, which goes away with its folder."""
    lines = (home / "log" / f"{name}.log").read_text(errors="replace").strip().splitlines()
    return "\n".join(["", *lines[-20:]])


def _wait(engine: Engine, orders: int, supervisor: Supervisor, say: Callable[[str], None]) -> None:
    """Wait until every order is at the door, and then for every other effect."""
    for left, what in (
        (effects.undelivered, "orders to be delivered"),
        (partial(effects.outstanding, orders=orders), "other effects to be written"),
    ):
        remaining = _Remaining(engine, left)
        while (before := remaining.now()) > 0:
            say(f"  {before} {what}")
            goal = max(0, before - max(1, orders // 10))
            supervisor.wait(partial(remaining.fallen_to, goal), STALL_SECONDS)
            if remaining.now() == before:
                raise FailedError(f"No progress for {STALL_SECONDS} s with {before} {what}.")


class _Remaining:
    """What is left to be done, looked at so rarely that looking costs the contestant nothing."""

    def __init__(self, engine: Engine, count: Callable[[Connection], int]) -> None:
        self._engine = engine
        self._count = count
        self._looked = 0.0

    def now(self) -> int:
        """Count now."""
        with self._engine.connect() as connection:
            return self._count(connection)

    def fallen_to(self, goal: int) -> bool:
        """Whether it was no more than ``goal`` when last looked at."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return False
        self._looked = time.monotonic()
        return self.now() <= goal


def _measure(contestant: Contestant, engine: Engine, orders: int, started: datetime) -> Round:
    with engine.connect() as connection:
        first = connection.execute(text(contestant.first_start)).scalar_one()
        row = connection.execute(
            text(
                "SELECT extract(epoch FROM max(placed_at) - min(placed_at))::float AS placing,"
                " max(delivered_at) AS delivered, (SELECT max(sent_at) FROM messages) AS told FROM orders"
            )
        ).one()
        return Round(
            contestant.name,
            orders,
            row.placing,
            (row.delivered - first).total_seconds(),
            (row.delivered - started).total_seconds(),
            (row.told - first).total_seconds(),
            effects.count(connection),
        )
