"""`python -m bench.http` measures placing over HTTP, the cost of watching, and the latency of an idle shop."""

from collections.abc import Mapping
from typing import Any

import click
from rich.table import Table

from bench.http import latency, placing
from bench.report import draw, say, show
from bench.stage import FailedError, only_our_settings

PARTS = ("placing", "streams", "idle")


@click.command()
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="How often each has a go.")
@click.option("--seconds", type=click.FloatRange(1), default=10, show_default=True, help="Of load in each round.")
@click.option("--connections", type=click.IntRange(1), default=16, show_default=True, help="That are kept busy.")
@click.option("--streams", type=click.IntRange(1), default=200, show_default=True, help="Event streams held open.")
@click.option("--orders", type=click.IntRange(2), help="For streams and idle; else 200 and 50.")
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="A part of it; else all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone on stdout.")
def main(
    rounds: int,
    seconds: float,
    connections: int,
    streams: int,
    orders: int | None,
    only: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure placing over HTTP, what 200 open event streams cost, and how fast an idle shop delivers."""
    only_our_settings()
    summary: dict[str, Any] = {}
    try:
        if not only or "placing" in only:
            summary["placing"] = placing.measure(rounds, seconds, connections, say)
        if not only or "streams" in only:
            summary["streams"] = latency.watched(streams, rounds, say, orders or latency.WATCH_ORDERS)
        if not only or "idle" in only:
            summary["idle"] = latency.idle(say, orders or latency.IDLE_ORDERS)
    except FailedError as failure:
        raise click.ClickException(str(failure)) from None
    show(summary, as_json, _tables)


def _tables(summary: Mapping[str, Any]) -> str:
    drawn = []
    if found := summary.get("placing"):
        title = f"Placing over HTTP, {found['connections']} connections, medians of {found['rounds']} rounds"
        rows = {name: found[name] for name in (placing.OURS, *placing.OTHERS)}
        ratios = {"ours to it": {placing.OURS: 1.0, **found["ratios"]}}
        drawn.append(_table(title, {**_turned(rows), **ratios}))
        drawn.append(f"The load itself can do {found['load_at_most']:,.0f} requests a second.")
    if found := summary.get("streams"):
        title = f"{latency.WATCH_RATE:g} orders a second, without and with {found['streams']} open streams, ms"
        drawn.append(_table(title, _turned({name: found[name] for name in ("unwatched", "watched", "slower_by")})))
    if found := summary.get("idle"):
        drawn.append(_table(f"Idle, {latency.IDLE_RATE:g} order a second, ms", _turned({"idle": found})))
    return "\n".join(drawn)


def _turned(columns: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    rows = next(iter(columns.values()))
    return {row: {name: column[row] for name, column in columns.items()} for row in rows}


def _table(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    table = Table(title=title)
    for heading in ("", *next(iter(rows.values()))):
        table.add_column(heading, justify="right" if heading else "left")
    for name, row in rows.items():
        table.add_row(name.replace("_", " "), *(f"{value:,}" for value in row.values()))
    return draw(table)


if __name__ == "__main__":
    main()
