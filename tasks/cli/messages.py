"""`pizzeria messages`: what customers and suppliers are told, and what became of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import click
import msgspec
from rich.table import Column, Table

from domain import messages
from domain.messages import MessageError, MessageRow
from tasks.cli.events import about_order
from tasks.cli.numbers import Whole
from tasks.cli.person import at_the_command_line
from tasks.cli.tables import print_whole

STATES = ("queued", "sent", "failed", "aborted")
_PERSONAL = ("recipient", "subject", "body")
_BRIEF = ("key", "channel", "about", "state", "attempts", "answer")
_WIDEST = 60
"""Of a column: more than a key has; what providers answer is broken."""

_full = click.option("--full", is_flag=True, help="Show to whom and what, too.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")


@click.group()
def command() -> None:
    """List messages, look at one, have it sent again, or abort it. A message is named by its key."""


@command.command("list")
@click.option("--order", help="Those about this order: its id, or its code of six characters.")
@click.option("--state", type=click.Choice(STATES), help="Those in this state.")
@click.option("--limit", type=Whole(1, 10_000), default=20, show_default=True, help="So many at the most.")
@_full
@_json
def list_(order: str | None, state: str | None, limit: int, full: bool, as_json: bool) -> None:
    """List the newest messages."""
    from tasks.database import database

    with database().read() as connection:
        about = about_order(connection, order).value if order else None
        found = messages.recent(connection, order_id=about, state=state, limit=limit)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([_fields(row, full) for row in found])).decode())
    elif not found:
        click.echo("There are no such messages." if order or state else "There are no messages yet.")
    else:
        columns = (*_BRIEF, *(_PERSONAL if full else ()))
        table = Table(*(Column(name.capitalize(), overflow="fold", max_width=_WIDEST) for name in columns))
        for row in found:
            table.add_row(*(str(value) if (value := getattr(row, name)) is not None else "" for name in columns))
        print_whole(table)


@command.command()
@click.argument("key")
@_full
@_json
def show(key: str, full: bool, as_json: bool) -> None:
    """Show the message KEY with its state and what the provider answered."""
    from tasks.database import database

    with _refusals(), database().read() as connection:
        fields = _fields(messages.get(connection, key), full)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(fields)).decode())
        return
    for name, value in fields.items():
        click.echo(f"{name.replace('_', ' '):<14}{'none' if value is None else value}")


@command.command()
@click.argument("key")
def again(key: str) -> None:
    """Have the message KEY sent once more, as a message of its own, unless its order has gone too far for it."""
    from tasks.database import database

    with _refusals(), database().begin(_correlation()) as work:
        messages.request_again(work, key, at_the_command_line())
    click.echo("The message is asked for once more, as a message of its own.")


@command.command()
@click.argument("key")
def abort(key: str) -> None:
    """Have the message KEY not sent any more, if it waits for another try or has failed. The audit keeps who did it."""
    from tasks.database import database

    with _refusals(), database().begin(_correlation()) as work:
        new = messages.abort(work, key, at_the_command_line())
    click.echo("The message is aborted." if new else "The message was aborted before.")


@contextmanager
def _refusals() -> Iterator[None]:
    """Say in its own sentence why something cannot be: exit code 1."""
    try:
        yield
    except MessageError as refused:
        click.echo(str(refused), err=True)
        raise click.exceptions.Exit(1) from None


def _fields(row: MessageRow, full: bool) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__ if full or name not in _PERSONAL}


def _correlation() -> str:
    return f"messages-{uuid4().hex}"
