"""`pizzeria routes`: which event goes to which handler, and on which queue."""

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from domain.events import catalogue
from tasks.bus.registry import Subscription


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def command(as_json: bool) -> None:
    """List every event with its version, handlers and queues."""
    from tasks.registry import registry

    found = registry().subscriptions()
    routes = {name: [(handler, s) for event, handler, s in found if event == name] for name in sorted(catalogue.types)}
    if as_json:
        click.echo(json.dumps({name: _as_json(name, to) for name, to in routes.items()}, indent=2))
        return
    table = Table("Event", "Version", "Handlers, each on the queue of its name")
    for name, to in routes.items():
        named = ", ".join(f"{handler} ({s.condition})" if s.where else handler for handler, s in to)
        table.add_row(name, str(catalogue.types[name].version), named or "nobody yet")
    Console().print(table)


def _as_json(name: str, to: Sequence[tuple[str, Subscription]]) -> dict[str, Any]:
    handlers = [handler for handler, _ in to]
    conditions = {handler: dict(s.where) for handler, s in to if s.where}
    return {"version": catalogue.types[name].version, "handlers": handlers, "queues": handlers, "where": conditions}
