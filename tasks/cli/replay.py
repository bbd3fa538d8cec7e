"""`pizzeria replay`: a handler's read model made anew from the log; or every order folded and compared."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, TaskID

from domain import history
from domain.events import catalogue
from tasks.bus import replay
from tasks.bus.replay import Difference, Replayed
from tasks.cli import CannotRun

ORDERS = "orders"
_EXAMPLES = 20


@click.command()
@click.argument("what", metavar="HANDLER")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="Only the events recorded since then, UTC; rows that none of them leads to are left as they are.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing; exit code 1 if anything differs.")
def command(what: str, since: datetime | None, dry_run: bool) -> None:
    """Run HANDLER through the events it has handled, into its read model, while everything runs.

    No message is sent and no event is recorded: a handler that does more than fill tables is refused. What is parked is
    left out; see `pizzeria dead`.

    `replay orders --dry-run` folds every order's events and compares with the orders there are.
    """
    if what == ORDERS:
        _compare_orders(since, dry_run)
    else:
        _replay(what, since.replace(tzinfo=UTC) if since else None, dry_run)


def _replay(name: str, since: datetime | None, dry_run: bool) -> None:
    from tasks.database import database
    from tasks.registry import registry

    handlers = registry().handlers
    able = ", ".join(sorted(handler.name for handler in handlers.values() if handler.read_model))
    if name not in handlers:
        raise CannotRun(f"No handler is called {name}; what can be replayed is {able}.")
    try:
        replay.refuse(handlers[name])
        with database().read() as connection:
            total = replay.count(connection, handlers[name], since)
        with _bar(f"replay {name}", total) as (bar, task):
            done = replay.replay(
                database(),
                catalogue,
                handlers[name],
                since=since,
                dry_run=dry_run,
                progress=lambda number: bar.advance(task, number),
            )
    except replay.ReplayError as refused:
        raise CannotRun(f"{refused} What can be replayed is {able}.") from None
    _say(name, done, dry_run)
    raise SystemExit(1 if dry_run and done.differences else 0)


def _say(name: str, done: Replayed, dry_run: bool) -> None:
    for table in done.tables:
        click.echo(_sentence(table, "differ" if dry_run else "mended"))
    click.echo(f"{done.events} events of {name} replayed{', nothing changed' if dry_run else ''}.")


def _sentence(table: Difference, verb: str) -> str:
    if not table.rows:
        return f"{table.table} is what the log makes of it."
    kinds = f"{table.missing} missing, {table.wrong} wrong, {table.extra} without an event"
    more = " …" if table.rows > len(table.examples) else ""
    return f"{table.table}: {table.rows} rows {verb} ({kinds}): {', '.join(table.examples)}{more}"


def _compare_orders(since: datetime | None, dry_run: bool) -> None:
    from tasks.database import database

    if not dry_run or since:
        raise CannotRun("Orders are folded whole and only compared: say `pizzeria replay orders --dry-run`.")
    orders = 0
    differences: list[str] = []
    with database().view() as connection, _bar("fold orders", history.count(connection)) as (bar, task):
        for compared in history.compare(connection):
            orders += compared.orders
            differences += compared.differences
            bar.advance(task, compared.orders)
    for sentence in differences[:_EXAMPLES]:
        click.echo(sentence)
    if len(differences) > _EXAMPLES:
        click.echo(f"… and {len(differences) - _EXAMPLES} more.")
    click.echo(f"{orders} orders folded, {len(differences)} differ from the live table.")
    raise SystemExit(1 if differences else 0)


@contextmanager
def _bar(doing: str, total: int) -> Iterator[tuple[Any, TaskID]]:
    """Show a bar where a person looks."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress, progress.add_task(doing, total=total)
