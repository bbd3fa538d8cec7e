"""`pizzeria dead`: parked deliveries, to be looked at, tried again or given up."""

from collections.abc import Callable
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from domain.events import catalogue
from tasks.bus import dead
from tasks.bus.dead import Chosen, Letter
from tasks.cli import CannotRun
from tasks.cli.numbers import Whole
from tasks.cli.person import at_the_command_line

NOTHING = "Nothing is parked"

_handler = click.option("--handler", help="Only what is parked for this handler.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")


def _choice(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which deliveries are meant."""
    options = (
        click.option("--all", "everything", is_flag=True, help="Everything that is parked."),
        click.option("--error", help="Only what ends in this line, as `dead list` shows it."),
        click.option("--position", type=Whole(min=1), help="Only the event at this position."),
        _handler,
    )
    for option in options:
        function = option(function)
    return function


@click.group()
def command() -> None:
    """List, show, retry or discard parked deliveries. Who retries or discards is written down in the audit."""


@command.command("list")
@_handler
@_json
def list_(handler: str | None, as_json: bool) -> None:
    """List what is parked, by handler and by the last line of the error."""
    from tasks.database import database

    with database().read() as connection:
        groups = dead.groups(connection, Chosen(handler=handler))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(groups)).decode())
        return
    if not groups:
        click.echo(f"{NOTHING}{f' for {handler}' if handler else ''}.")
        return
    table = Table("Handler", Column("Error", overflow="fold"), "Parked", "Oldest event", "Positions")
    for group in groups:
        positions = ", ".join(map(str, group.positions)) + (" …" if group.number > len(group.positions) else "")
        oldest = f"{group.oldest:%Y-%m-%d %H:%M:%S}"
        table.add_row(group.handler, click.unstyle(group.error)[:300], str(group.number), oldest, positions)
    Console().print(table, markup=False)


@command.command()
@click.argument("position", type=Whole(min=1))
@click.argument("handler")
@_json
def show(position: int, handler: str, as_json: bool) -> None:
    """Show one parked delivery: its event and its whole error."""
    from tasks.database import database

    with database().read() as connection:
        letter = dead.letter(connection, catalogue, position, handler)
    if letter is None:
        click.echo(f"{NOTHING} for {handler} at position {position}.", err=True)
        raise click.exceptions.Exit(1)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(_fields(letter))).decode())
        return
    for name, value in _fields(letter).items():
        if name not in {"error", "data"}:
            click.echo(f"{name.replace('_', ' '):<15}{value}")
    data = _fields(letter)["data"]
    click.echo(
        "\n" + (msgspec.json.format(msgspec.json.encode(data)).decode() if data else "This code cannot read it.")
    )
    click.echo("\n" + letter.error.rstrip())


def _fields(letter: Letter) -> dict[str, Any]:
    plain = {name: getattr(letter, name) for name in Letter.__dataclass_fields__ if name != "event"}
    return plain | {"data": letter.event.event if letter.event else None}


@command.command()
@_choice
def retry(handler: str | None, position: int | None, error: str | None, everything: bool) -> None:
    """Deliver what is parked once more: at once, alone, and with all its attempts before it."""
    _act(_meant(handler, position, error, everything), "deliver again", "will be delivered again", dead.retry)


@command.command()
@click.option("--reason", required=True, help="Why; it is kept in the audit.")
@_choice
def discard(reason: str, handler: str | None, position: int | None, error: str | None, everything: bool) -> None:
    """Give what is parked up for good."""
    if not reason.strip():
        raise CannotRun("Say why: --reason must not be empty.")

    def act(*args: Any) -> int:
        database, chosen, who, progress = args
        return dead.discard(database, chosen, who, reason.strip(), progress)

    _act(_meant(handler, position, error, everything), "discard", "discarded", act)


def _meant(handler: str | None, position: int | None, error: str | None, everything: bool) -> Chosen:
    if not everything and handler is None and position is None and error is None:
        raise CannotRun("Say which are meant: --handler, --position, --error, or --all.")
    return Chosen(handler, position, error)


def _act(chosen: Chosen, doing: str, done: str, act: Callable[..., int]) -> None:
    """Do it, with a bar where a person looks, and say what was done."""
    from tasks.database import database

    with database().read() as connection:
        number = dead.count(connection, chosen)
    if not number:
        click.echo(f"{NOTHING} of that kind.")
        return
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(doing, total=number)
        changed = act(database(), chosen, at_the_command_line(), lambda n: progress.advance(task, n))
    click.echo(f"{changed} {'delivery' if changed == 1 else 'deliveries'} {done}.")
