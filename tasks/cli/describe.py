"""`pizzeria describe`: the JSON Schema of every event, and whether it keeps to its contract."""

import json

import click

from domain.events import catalogue
from domain.kernel import contract
from tasks.cli import CannotRun, generate


@click.command()
@click.argument("event", required=False)
@click.option("--check", is_flag=True, help="Print nothing but what breaks a contract; exit code 1 if anything does.")
def command(event: str | None, check: bool) -> None:
    """Print the JSON Schema of EVENT, or of every event by its name."""
    if check:
        generate.require_checkout()
        generate.refuse_broken_contracts()
        click.echo("Every event keeps to its contract.")
        return
    if event is not None and event not in catalogue.types:
        raise CannotRun(f"No event is called {event}; there are {', '.join(sorted(catalogue.types))}.")
    names = [event] if event else sorted(catalogue.types)
    schemas = {
        name: {"version": catalogue.types[name].version, "schema": contract.schema(catalogue.types[name])}
        for name in names
    }
    click.echo(json.dumps(schemas[event] if event else schemas, indent=2))
