"""The figures of all rounds as one summary, and that as a table for people."""

import importlib.metadata
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.contest import HANDWRITTEN, OURS, WORKERS, Round

# Figure → the seconds it is counted over.
_FIGURES: dict[str, Callable[[Round], float]] = {
    "orders_per_second": lambda r: r.first_start_to_last_delivery,
    "orders_per_second_from_process_start": lambda r: r.process_start_to_last_delivery,
    "orders_per_second_to_last_message": lambda r: r.first_start_to_last_message,
    "placed_per_second": lambda r: r.placing,
}
_EXPLAINED = {
    "orders_per_second": "orders/s, first handler's start to last delivery",
    "orders_per_second_from_process_start": "orders/s, processes' start to last delivery",
    "orders_per_second_to_last_message": "orders/s, first handler's start to last message",
    "placed_per_second": "orders/s placed, by one process, before that",
}


def summarise(done: Sequence[Round], orders: int, rounds: int, problems: Sequence[str]) -> dict[str, Any]:
    """Give the medians over the rounds, their ratio, the effects and the machine; JSON can hold all of it."""
    figures = {
        name: {figure: _median(done, name, seconds) for figure, seconds in _FIGURES.items()}
        for name in (OURS.name, HANDWRITTEN.name)
    }
    return {
        "orders": orders,
        "rounds": rounds,
        "workers": WORKERS,
        **figures,
        "ratio": {
            figure: round(ours / theirs, 1)
            for figure in _FIGURES
            if (ours := figures[OURS.name][figure]) and (theirs := figures[HANDWRITTEN.name][figure])
        },
        "effects": {result.contestant: result.effects for result in done},
        "problems": list(problems),
        "machine": machine(),
    }


def _median(done: Sequence[Round], name: str, seconds: Callable[[Round], float]) -> float | None:
    rates = [r.orders / max(seconds(r), 1e-6) for r in done if r.contestant == name]
    return round(median(rates), 1) if rates else None


def machine() -> dict[str, Any]:
    """Say what this was measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": _cpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "celery": importlib.metadata.version("celery"),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def table(summary: dict[str, Any]) -> str:
    """Write the summary out for people."""
    grid = Table(title=f"{summary['orders']} orders, {summary['workers']} workers, medians of {summary['rounds']}")
    for heading in ("", "ours", "by hand", "ratio"):
        grid.add_column(heading, justify="left" if not heading else "right")
    for figure, explained in _EXPLAINED.items():
        cells = [summary[OURS.name][figure], summary[HANDWRITTEN.name][figure], summary["ratio"].get(figure)]
        grid.add_row(explained, *("–" if cell is None else f"{cell:,}" for cell in cells))
    grid.add_section()
    effects = summary["effects"]
    for name in next(iter(effects.values()), {}):
        counted = [effects.get(who, {}).get(name) for who in (OURS.name, HANDWRITTEN.name)]
        grid.add_row(name, *("–" if cell is None else f"{cell:,}" for cell in counted))
    console = Console(width=100, highlight=False)
    with console.capture() as captured:
        console.print(grid)
    where = summary["machine"]
    place = f"{where['cores']} cores, {where['cpu']}, {where['system']}"
    versions = f"Python {where['python']}, Celery {where['celery']}"
    return captured.get() + "\n".join([f"{place}, {versions}", *summary["problems"]])
