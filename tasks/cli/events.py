"""`pizzeria events`: what is recorded, decoded."""

from typing import Any

import click
import msgspec
from rich.console import Console
from rich.text import Text

from domain import traces
from domain.events import catalogue
from tasks.bus import journey
from tasks.bus.journey import About, Step
from tasks.cli import CannotRun
from tasks.cli.numbers import Whole

_WIDE = 160


@click.command()
@click.option("--order", help="Only what is about this order: its id, or its code of six characters.")
@click.option("--type", "type_name", help="Only events of this type, for example OrderPlaced.")
@click.option("--limit", type=Whole(1, 100_000), default=50, show_default=True, help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def command(order: str | None, type_name: str | None, limit: int, as_json: bool) -> None:
    """Show recorded events, the newest last. Personal fields are shown as long as their person is not erased."""
    from tasks.database import database

    if type_name is not None and type_name not in catalogue.types:
        raise CannotRun(f"No event is called {type_name}: `pizzeria routes` lists them.")
    with database().read() as connection:
        about = about_order(connection, order) if order is not None else None
        steps = journey.events(connection, catalogue, about=about, type_name=type_name, limit=limit)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([as_data(step) for step in steps])).decode())
    elif not steps:
        click.echo("No event is recorded" + (" that fits." if order or type_name else " yet."))
    else:
        _show(steps)


def about_order(connection: Any, said: str) -> About:
    """Find what is about an order. A person who names none that there is hears so: exit code 1."""
    try:
        order_id = traces.find(connection, said)
    except traces.UnknownTraceError as unknown:
        click.echo(str(unknown), err=True)
        raise click.exceptions.Exit(1) from None
    return About(traces.streams(connection, order_id), "order_id", order_id)


def as_data(step: Step) -> dict[str, Any]:
    """Give an event under its public names; ``data`` is None where this code cannot read it."""
    names = ("position", "id", "type", "version", "stream", "sequence", "recorded_at", "correlation_id", "causation_id")
    return {name: getattr(step, name) for name in names} | {"data": step.event}


def _show(steps: list[Step]) -> None:
    console = Console(soft_wrap=True)
    for step in steps:
        data = msgspec.json.encode(step.event).decode() if step.event else "this code cannot read it"
        line = Text.assemble(
            f"{step.position:>8}  {step.recorded_at:%Y-%m-%d %H:%M:%S.%f}"[:-3],
            ("  " + step.type, "bold"),
            f"  {step.stream} #{step.sequence}  ",
            (data if len(data) <= _WIDE else data[: _WIDE - 1] + "…", "dim"),
        )
        console.print(line)
