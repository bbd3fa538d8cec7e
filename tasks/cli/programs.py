"""Which programs make up a running pizzeria, and how each says that it is ready."""

import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from domain.settings import Settings
from tasks.cli.supervisor import Program
from tasks.cli.worker import READY_FILE


def pizzeria(home: Path, name: str, *words: str, env: Mapping[str, str] | None = None) -> Program:
    """Give `pizzeria WORDS` as a program, its log in ``HOME/log/<name>.log``."""
    script = Path(sys.executable).with_name("pizzeria")
    command = [str(script)] if script.exists() else ["-m", "tasks.cli"]
    return Program(
        name=name,
        argv=(sys.executable, *command, *words),
        log=home / "log" / f"{name}.log",
        # Whatever folder HOME was named relative to, the children find it.
        env={"PIZZERIA_HOME": str(home), "PYTHONUNBUFFERED": "1", **(env or {})},
    )


def copied(home: Path, name: str, *words: str, env: Mapping[str, str] | None = None) -> Program:
    """Give the same, where it can as a copy of us, who must have imported what it needs and have one thread.

    The web is none: gevent patches the sockets before anything of ours is imported.
    """
    return replace(pizzeria(home, name, *words, env=env), copied=words)


def workers(home: Path, queues: Sequence[str], scale: Mapping[str, int]) -> list[Program]:
    """Give as many workers for each queue as ``scale`` says, or one."""
    programs = []
    for queue in queues:
        for number in range(1, scale.get(queue, 1) + 1):
            name = f"worker-{queue}" if number == 1 else f"worker-{queue}-{number}"
            ready = ready_file(home, name)
            ready.unlink(missing_ok=True)
            programs.append(copied(home, name, "worker", queue, env={READY_FILE: str(ready)}))
    return programs


def ready_file(home: Path, name: str) -> Path:
    """Where a worker leaves word that it takes messages."""
    return home / "log" / f".{name}.ready"


def answers(url: str) -> bool:
    """Whether a page answers 200 within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - http:// and ours
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def address(host: str, port: int) -> str:
    """Give the URL at which this machine reaches what listens there."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    return f"http://{place(host, port)}"


def place(host: str, port: int) -> str:
    """Write host and port together: an IPv6 address has colons of its own, and stands in brackets."""
    return f"{f'[{host}]' if ':' in host and '[' not in host else host}:{port}"


def readiness(shop: Settings, home: Path, programs: Sequence[Program]) -> dict[str, Callable[[], bool]]:
    """Give what to ask each program, by name, until it says yes."""
    checks: dict[str, Callable[[], bool]] = {}
    site = address(shop.host, shop.port)
    for program in programs:
        if program.name == "web":
            checks["web"] = lambda: answers(f"{site}/healthz") and answers(f"{site}/readyz")
        elif program.name == "flower":
            checks["flower"] = lambda: answers(f"{address(shop.flower_host, shop.flower_port)}/healthcheck")
        elif program.name.startswith("worker-"):
            checks[program.name] = ready_file(home, program.name).exists
    return checks
