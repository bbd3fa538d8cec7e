"""What people are told: the figures of all rounds as one summary, that as a table, and the machine."""

import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bench.contest import OURS, Contestant, Round
from bench.stage import WORKERS

# Figure → the seconds it is counted over.
_FIGURES: dict[str, Callable[[Round], float]] = {
    "orders_per_second": lambda r: r.first_start_to_last_delivery,
    "orders_per_second_from_process_start": lambda r: r.process_start_to_last_delivery,
    "orders_per_second_to_last_message": lambda r: r.first_start_to_last_message,
    "placed_per_second": lambda r: r.placing,
}
_EXPLAINED = {
    "orders_per_second": "first handler to last door",
    "orders_per_second_from_process_start": "processes' start to last door",
    "orders_per_second_to_last_message": "first handler to last message",
    "placed_per_second": "placed before, by one process",
}
PEERS = ("dramatiq", "dbos", "procrastinate")
"""Packages that only the bench wants, and their contestants' names."""
_PACKAGES = ("celery", *PEERS, "sqlalchemy")


def say(sentence: str) -> None:
    """Tell whoever waits."""
    click.echo(sentence, err=True)


def show(summary: Mapping[str, Any], as_json: bool, tables: Callable[[Mapping[str, Any]], str]) -> None:
    """Print a summary and the machine, as JSON alone or written out for people."""
    where = machine()
    if as_json:
        click.echo(json.dumps({**summary, "machine": where}, indent=2))
    else:
        click.echo("\n".join([tables(summary), describe(where)]))


def summarise(
    done: Sequence[Round], contestants: Sequence[Contestant], rounds: int, problems: Sequence[str]
) -> dict[str, Any]:
    """Give the medians over the rounds, our ratios to the others' and the effects; JSON can hold it."""
    who = {c.name: _contestant(c, [r for r in done if r.contestant == c.name]) for c in contestants}
    first = who.get(OURS.name, {})
    return {
        "rounds": rounds,
        "workers": WORKERS,
        "contestants": who,
        "ratios": {name: _ratios(first, other) for name, other in who.items() if name != OURS.name},
        "problems": list(problems),
    }


def _contestant(contestant: Contestant, rounds: Sequence[Round]) -> dict[str, Any]:
    figures = {
        figure: _median(r.orders / max(seconds(r), 1e-6) for r in rounds) for figure, seconds in _FIGURES.items()
    }
    last = rounds[-1] if rounds else None
    return {
        "title": contestant.title,
        "orders": last.orders if last else 0,
        "rounds": len(rounds),
        **figures,
        "effects": last.effects if last else {},
    }


def _median(rates: Iterable[float]) -> float | None:
    found = list(rates)
    return round(median(found), 1) if found else None


def _ratios(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    return {
        figure: round(ours[figure] / theirs[figure], 2)
        for figure in _FIGURES
        if ours.get(figure) and theirs.get(figure)
    }


def machine() -> dict[str, Any]:
    """Say what this was measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": _cpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def table(summary: Mapping[str, Any]) -> str:
    """Write the summary out for people."""
    who = summary["contestants"]
    rates = Table(title=f"Orders per second, medians of {summary['rounds']} rounds; in brackets: so many times slower")
    for heading in ("", *(f"{c['title']}\n{c['orders']:,} orders" for c in who.values())):
        rates.add_column(heading, justify="right" if heading else "left")
    for figure, explained in _EXPLAINED.items():
        rates.add_row(explained, *(_cell(c[figure], summary["ratios"].get(n, {}).get(figure)) for n, c in who.items()))
    rates.add_section()
    for name in who.get(OURS.name, next(iter(who.values())))["effects"]:
        rates.add_row(name, *(_cell(c["effects"].get(name)) for c in who.values()))
    return "\n".join([draw(rates), *summary["problems"]])


def _cell(value: float | None, ratio: float | None = None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" + (f" ({ratio:,.1f})" if ratio else "")


def draw(table: Table) -> str:
    """Write a table out."""
    console = Console(width=150, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip()


def describe(where: dict[str, Any]) -> str:
    """Name the machine and what ran on it in one line."""
    versions = ", ".join(f"{name} {where[name]}" for name in ("python", *_PACKAGES))
    return f"{where['cores']} cores, {where['cpu']}, {where['system']}; {versions}"
