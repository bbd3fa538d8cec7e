"""Where a round takes place: a PostgreSQL and a Redis of its own, the pizzeria's tables, and programs that all end."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine, create_engine, make_url, text

from tasks.cli import CannotRun
from tasks.cli.programs import pizzeria
from tasks.cli.supervisor import Program, Supervisor

Say = Callable[[str], None]

WORKERS = 2
LOOK_SECONDS = 0.5
"""Between two looks into the database, so that looking costs the contestant nothing."""

QUICK = {
    "PIZZERIA_BAKE_SECONDS": "0",
    "PIZZERIA_DRIVE_SECONDS": "0",
    "PIZZERIA_OVEN_CAPACITY": "1000",
    "PIZZERIA_DRIVERS": "1000",
    "PIZZERIA_STOCK": "ample",
    "PIZZERIA_RATE_LIMITS": "off",
    "PIZZERIA_LOG_LEVEL": "WARNING",  # Celery's own default
}


class FailedError(Exception):
    """Somebody did not do the job; the message says what is missing."""


def only_our_settings() -> None:
    """Forget what is set in somebody's shell: nobody's settings but the bench's own."""
    for name in [name for name in os.environ if name.startswith("PIZZERIA_")]:
        del os.environ[name]


@dataclass(frozen=True)
class Stage:
    """Fresh servers and what runs beside them. ``env`` is what every program is told."""

    home: Path
    env: Mapping[str, str]
    supervisor: Supervisor
    engine: Engine

    def pizzeria(self, name: str, *words: str) -> Program:
        """Give a `pizzeria` command as a program."""
        return pizzeria(self.home, name, *words, env=self.env)

    def python(self, name: str, *words: str) -> Program:
        """Give a Python module as a program."""
        env = {**self.env, "PIZZERIA_HOME": str(self.home)}
        return Program(name, (sys.executable, "-m", *words), self.home / "log" / f"{name}.log", env)

    def start(self, *programs: Program) -> None:
        """Run these until the stage is left."""
        self.supervisor.start(programs)

    def once(self, program: Program) -> None:
        """Run a program to its end. Raises CannotRun if it fails."""
        if self.supervisor.run_once(program):
            raise CannotRun(f"{program.name} failed: {self.log(program.name)}")

    def ask(self, program: Program) -> Any:
        """Run a program to its end and give the JSON that it printed. Raises CannotRun if it fails."""
        program.log.unlink(missing_ok=True)
        self.once(program)
        return json.loads(program.log.read_text())

    def wait(self, ready: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait for a condition, looked at now and then. Raises FailedError."""
        if not self.supervisor.wait(_seldom(ready), seconds):
            raise FailedError(f"{what}: not within {seconds:.0f} s.")

    def value(self, sql: str, **values: Any) -> Any:
        """Ask the database for one value."""
        with self.engine.connect() as connection:
            return connection.execute(text(sql), values).scalar_one()

    def log(self, name: str) -> str:
        """Give the end of a log, which goes away with its folder."""
        lines = (self.home / "log" / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return "\n".join(["", *lines[-20:]])


def _seldom(ready: Callable[[], bool]) -> Callable[[], bool]:
    looked = 0.0

    def look() -> bool:
        nonlocal looked
        if time.monotonic() - looked < LOOK_SECONDS:
            return False
        looked = time.monotonic()
        return ready()

    return look


@contextmanager
def stage(say: Say, **settings: object) -> Iterator[Stage]:
    """Set up a stage, and leave nothing of it. Settings are the pizzeria's own, without their prefix."""
    env = QUICK | {f"PIZZERIA_{name.upper()}": str(value) for name, value in settings.items()}
    with tempfile.TemporaryDirectory(prefix="pizzeria-bench-") as folder:
        home = Path(folder)
        (home / "log").mkdir(mode=0o700)
        with Supervisor(partial(_tell_deaths, say)) as supervisor:
            engine = _servers(home, env, supervisor)
            try:
                yield Stage(home, env, supervisor, engine)
            finally:
                engine.dispose()
            return
        raise click.Abort  # a signal ended it


def _tell_deaths(say: Say, sentence: str) -> None:
    if "died" in sentence:
        say(f"  {sentence}")


def _servers(home: Path, env: Mapping[str, str], supervisor: Supervisor) -> Engine:
    services = home / "services.json"
    supervisor.start([pizzeria(home, "services", "services")])
    if not supervisor.wait(services.exists, 60):
        raise CannotRun(f"The servers do not start: {(home / 'log' / 'services.log').read_text(errors='replace')}")
    if supervisor.run_once(pizzeria(home, "migrate", "migrate", env=env)):
        raise CannotRun(f"migrate failed: {(home / 'log' / 'migrate.log').read_text(errors='replace')}")
    url = make_url(json.loads(services.read_text())["database_url"])
    return create_engine(url.set(drivername="postgresql+psycopg"))
