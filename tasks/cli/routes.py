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
    handlers = {name: [handler for event, handler in pairs if event == name] for name in sorted(catalogue.types)}
    if as_json:
        routes = {
            name: {"version": catalogue.types[name].version, "handlers": names, "queues": names}
            for name, names in handlers.items()
        }
        click.echo(json.dumps(routes, indent=2))
        return
    table = Table("Event", "Version", "Handlers, each on the queue of its name")
    for name, names in handlers.items():
        table.add_row(name, str(catalogue.types[name].version), ", ".join(names) or "nobody yet")
    Console().print(table)
