"""`python -m bench.growth` measures whether old orders, a backlog or a long life make the pipeline slower or larger."""

from collections.abc import Mapping
from typing import Any

import click
from rich.table import Table

from bench.growth import memory, rates
from bench.growth.rates import Past
from bench.report import draw, say, show
from bench.stage import FailedError, only_our_settings

PARTS = ("orders", "backlog", "memory")


@click.command()
@click.option("--few", type=click.IntRange(100), default=10_000, show_default=True, help="Old orders, to begin with.")
@click.option("--many", type=click.IntRange(100), default=1_000_000, show_default=True, help="Old orders, in the end.")
@click.option("--backlog", type=click.IntRange(100), default=50_000, show_default=True, help="Deliveries that wait.")
@click.option("--events", type=click.IntRange(100), default=100_000, show_default=True, help="For the memory.")
@click.option("--rate", type=click.FloatRange(1), default=100, show_default=True, help="Orders a second, meanwhile.")
@click.option("--orders", type=click.IntRange(1), default=2000, show_default=True, help="To the door in each round.")
@click.option("--seconds", type=click.FloatRange(1), default=10, show_default=True, help="Of placing in each round.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="On each past.")
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="A part of it; else all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone on stdout.")
def main(
    few: int,
    many: int,
    backlog: int,
    events: int,
    rate: float,
    orders: int,
    seconds: float,
    rounds: int,
    only: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure the same rates on a young and on an old pizzeria, with and without a backlog, and the memory.

    A million old orders take about 20 GB below the folder for temporary files, and a while to fill in.
    """
    only_our_settings()
    parts = only or PARTS
    pairs: list[tuple[Past, Past]] = []
    if "orders" in parts:
        pairs.append((Past(f"{few:,} old orders", few), Past(f"{many:,} old orders", many)))
    if "backlog" in parts:
        before = Past(f"{rates.HELD_BACK} stopped", backlog, unserved=True)
        pairs.append((before, Past(f"and {backlog:,} of it waiting", backlog, unserved=True, backlog=backlog)))
    try:
        found = {past.name: rates.measure(past, rounds, orders, seconds, say) for pair in pairs for past in pair}
        grown = memory.measure(events, rate, say) if "memory" in parts else None
    except FailedError as failure:
        raise click.ClickException(str(failure)) from None
    show({"rates": found, "compared": rates.compare(pairs, found), "memory": grown}, as_json, _tables)


def _tables(summary: Mapping[str, Any]) -> str:
    drawn = []
    if summary["rates"]:
        table = Table(title="The same rates on another past")
        for heading in ("", "placed a second", "delivered a second"):
            table.add_column(heading, justify="right" if heading else "left")
        for name, row in {**summary["rates"], **summary["compared"]}.items():
            table.add_row(name, *(f"{value:,}" for value in row.values()))
        drawn.append(draw(table))
    if found := summary["memory"]:
        table = Table(title=f"Resident memory, MB, from {found['events'][0]:,} to {found['events'][-1]:,} events")
        for heading in ("", "then", "in the end", "grown by"):
            table.add_column(heading, justify="right" if heading else "left")
        for name, sizes in found["megabytes"].items():
            table.add_row(name, f"{sizes[0]:,}", f"{sizes[-1]:,}", f"{found['grown_by'][name]:.1%}")
        drawn.append(draw(table))
    return "\n".join(drawn)


if __name__ == "__main__":
    main()
