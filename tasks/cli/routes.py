"""`pizzeria routes`: which event goes to which handler, and on which queue."""

import json

import click
from rich.console import Console
from rich.table import Table

from domain.events import catalogue


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def command(as_json: bool) -> None:
    """List every event with its version, handlers and queues."""
    from tasks.registry import registry

    pairs = registry().subscriptions()
    routes = {
        name: {"version": kind.version, "handlers": [handler for event, handler in pairs if event == name]}
        for name, kind in sorted(catalogue.types.items())
    }
    if as_json:
        click.echo(
            json.dumps({name: {**route, "queues": route["handlers"]} for name, route in routes.items()}, indent=2)
        )
        return
    table = Table("Event", "Version", "Handlers, each on the queue of its name")
    for name, route in routes.items():
        handlers = route["handlers"]
        table.add_row(name, str(route["version"]), ", ".join(handlers) if handlers else "nobody yet")
    Console().print(table)
