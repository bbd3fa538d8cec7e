"""`pizzeria describe`: the JSON Schema of every event."""

import json

import click
import msgspec

from domain.events import catalogue
from tasks.cli import CannotRun


@click.command()
@click.argument("event", required=False)
def command(event: str | None) -> None:
    """Print the JSON Schema of EVENT, or of every event by its name."""
    if event is not None and event not in catalogue.types:
        raise CannotRun(f"No event is called {event}; there are {', '.join(sorted(catalogue.types))}.")
    names = [event] if event else sorted(catalogue.types)
    schemas = {
        name: {"version": catalogue.types[name].version, "schema": msgspec.json.schema(catalogue.types[name])}
        for name in names
    }
    click.echo(json.dumps(schemas[event] if event else schemas, indent=2))
