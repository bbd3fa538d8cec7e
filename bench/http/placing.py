"""Placing orders over HTTP with web alone: ours, the bare insert by SQL and by ORM, a commit with five `.delay()`."""

import socket
from collections.abc import Sequence
from statistics import median
from typing import Any

from sqlalchemy import text

from bench.stage import Say, Stage, stage
from tasks.cli.embedded import free_port
from tasks.cli.supervisor import Program

OURS = "ours"
OTHERS = {"bare insert": "bare", "bare ORM": "orm", "commit + 5 delay": "delay"}
"""Whom we are measured against, with the module of each."""
WEB_WORKERS = 2

_OUR_ROWS = "SELECT count(*) FROM events e JOIN outbox USING (position) WHERE type = 'OrderPlaced'"
_THEIR_ROWS = "SELECT count(*) FROM bench_orders"


def measure(rounds: int, seconds: float, connections: int, say: Say) -> dict[str, Any]:
    """Give the medians of the rounds, which are run in turn, our ratios, and what the load could do at the most."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in (OURS, *OTHERS)}
    for number in range(1, rounds + 1):
        for name, figures in found.items():
            say(f"Round {number} of {rounds}, placing over HTTP: {name}")
            figures.append(_round(name, seconds, connections, say))
    medians = {name: _medians(figures) for name, figures in found.items()}
    ours = medians[OURS]["per_second"]
    return {
        "rounds": rounds,
        "connections": connections,
        "web_workers": WEB_WORKERS,
        **medians,
        "ratios": {name: round(ours / medians[name]["per_second"], 2) for name in OTHERS},
        "load_at_most": _load_at_most(connections, say),
    }


def _round(name: str, seconds: float, connections: int, say: Say) -> dict[str, Any]:
    with stage(say, port=free_port(), web_workers=WEB_WORKERS) as here:
        with here.engine.begin() as connection:
            connection.execute(text("CREATE TABLE bench_orders (LIKE orders INCLUDING ALL)"))
        serve(here, _program(here, name))
        figures = load(here, f"--connections={connections}", f"--seconds={seconds}")
        counted = int(seconds * figures["per_second"])
        if figures["refused"] or here.value(_OUR_ROWS if name == OURS else _THEIR_ROWS) < counted:
            raise SystemExit(f"{name}: {figures['refused']} refused, or fewer rows than the {counted} acknowledged.")
        return figures


def _program(here: Stage, name: str) -> Program:
    if name == OURS:
        return here.pizzeria("web", "web")
    return here.python("web", "bench.http.serve", f"bench.http.{OTHERS[name]}:app")


def serve(here: Stage, program: Program) -> None:
    """Run a web server until it answers, with whatever it says."""
    port = here.env["PIZZERIA_PORT"]
    here.start(program)
    here.wait(lambda: _listens(int(port)), 60, f"The web server listens ({here.home})")


def _listens(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


def load(here: Stage, *words: str) -> dict[str, Any]:
    """Place orders from a process of its own; gives its figures."""
    figures: dict[str, Any] = here.ask(here.python("load", "bench.http.load", here.env["PIZZERIA_PORT"], *words))
    return figures


def _medians(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: median(figures[name] for figures in rounds) for name in ("per_second", "p50", "p99")}


def _load_at_most(connections: int, say: Say) -> float:
    """See what the load could do: against a server that does nothing."""
    say("The load against a server that does nothing")
    with stage(say, port=free_port()) as here:
        serve(here, here.python("trivial", "bench.http.trivial", here.env["PIZZERIA_PORT"]))
        return float(load(here, f"--connections={connections}", "--warm=0.5", "--seconds=2")["per_second"])
