"""`pizzeria sources`: the systems that may tell us something at /api/events."""

import click

from domain import sources
from tasks.cli import CannotRun

NONE_YET = "No source yet: add one with `pizzeria sources add NAME oven` or `partner`."


@click.group(invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List the systems that may tell us something, or add or remove one."""
    if context.invoked_subcommand is None:
        _list()


def _list() -> None:
    from tasks.database import database

    with database().read() as connection:
        found = sources.every(connection)
    for source in found:
        click.echo(f"{source.name}  {source.kind}  since {source.created_at:%Y-%m-%d}")
    if not found:
        click.echo(NONE_YET)


@command.command()
@click.argument("name")
@click.argument("kind", type=click.Choice(sources.KINDS))
def add(name: str, kind: str) -> None:
    """Let NAME tell us what an oven's sensor or a delivery partner may; prints the secret that it signs with, once."""
    from tasks.database import database

    try:
        with database().begin("sources") as work:
            source = sources.add(work, name, kind)
    except sources.SourceError as error:
        raise CannotRun(str(error)) from error
    click.echo(f"Source {source.name}. Its secret, shown only now: {source.secret}")


@command.command()
@click.argument("name")
def remove(name: str) -> None:
    """Believe NAME no more."""
    from tasks.database import database

    try:
        with database().begin("sources") as work:
            sources.remove(work, name)
    except sources.SourceError as error:
        raise CannotRun(str(error)) from error
    click.echo(f"{name} is believed no more.")
