"""`pizzeria check`: waits until all is quiet, then tries every invariant over the whole database."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click
from rich.console import Console

from domain import invariants as pizzeria
from domain.events import catalogue
from domain.invariants.orders import stuck as orders_stand_still
from domain.kernel.invariant import EXAMPLES, Finding, Invariant, attempt
from domain.settings import Settings, settings
from tasks.bus import invariants as bus
from tasks.bus import replay
from tasks.bus.invariants import Pending
from tasks.cli.numbers import Finite

BROKER = "The broker's queues are empty"
_LOOK_EVERY = 0.25
_BROKER_LOOKS = 12


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the result; ``skipped`` says why an invariant was not tried, ``noted`` counts what breaks nothing."""

    title: str
    violations: int = 0
    examples: tuple[str, ...] = ()
    skipped: str | None = None
    noted: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What `pizzeria check` found."""

    pending: Pending
    lines: Sequence[Line]

    @property
    def holds(self) -> bool:
        """Whether all was quiet and nothing is violated."""
        return self.pending.quiet and not any(line.violations for line in self.lines)


def wait_for_quiet(shop: Settings, seconds: float, progress: "Progress") -> Pending:
    """Wait until nothing is on its way, nor will be within the time left, and no order stands still; gives what is."""
    from tasks.database import database

    deadline = time.monotonic() + seconds
    stuck = orders_stand_still(shop)
    while True:
        left = deadline - time.monotonic()
        with database().read() as connection:
            found = bus.pending(connection, left)
            still = 0 if not found.quiet else attempt(connection, stuck).violations
        if (found.quiet and not still) or left <= 0:
            return found
        progress.waiting(found, still, left)
        time.sleep(min(_LOOK_EVERY, max(0.0, left)))


class Progress:
    """Says on stderr, where a person looks at it, what is being waited for or tried."""

    def __init__(self, *, shown: bool) -> None:
        self._console = Console(stderr=True)
        self._status = self._console.status("Looking …") if shown and self._console.is_terminal else None

    def __enter__(self) -> "Progress":
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def waiting(self, pending: Pending, stuck: int, left: float) -> None:
        """Say what is not done yet."""
        self.say(f"Waiting for quiet, {left:.0f} s at most: {explain(pending) or f'{stuck} orders on their way'}")

    def say(self, what: str) -> None:
        """Show what is being done."""
        if self._status:
            self._status.update(what)


def explain(pending: Pending) -> str:
    """Say what is still pending, by handler."""
    parts = [f"{handler} {number}" for handler, number in pending.deliveries.items()]
    return ", ".join([f"outbox {pending.outbox}"] * bool(pending.outbox) + parts)


def try_all(shop: Settings, invariants: Sequence[Invariant], *, quiet: bool, progress: Progress) -> Iterator[Line]:
    """Try the invariants on one unchanging view of the database, so that traffic in between breaks none."""
    from tasks.database import database

    with database().view() as connection:
        for invariant in invariants:
            progress.say(invariant.title)
            if invariant.when_quiet and not quiet:
                yield Line(invariant.title, skipped="not all is done yet")
            else:
                yield _line(attempt(connection, invariant))
    yield from _read_models(progress)
    progress.say(BROKER)
    yield _broker(shop) if quiet else Line(BROKER, skipped="not all is done yet")


def _line(finding: Finding) -> Line:
    if finding.invariant.is_report:
        return Line(finding.invariant.title, examples=finding.examples, noted=finding.violations)
    return Line(finding.invariant.title, finding.violations, finding.examples)


def _read_models(progress: Progress) -> Iterator[Line]:
    """Make every read model anew from the log, beside the live one."""
    from tasks.database import database
    from tasks.registry import registry

    for handler in registry().handlers.values():
        if not handler.read_model:
            continue
        title = f"What {handler.name} keeps is what the log makes of it"
        progress.say(title)
        try:
            done = replay.replay(database(), catalogue, handler, dry_run=True)
        except replay.ReplayError as error:
            yield Line(title, 1, (str(error),))
        else:
            examples = tuple(f"{table.table} {key}" for table in done.tables for key in table.examples)
            yield Line(title, done.differences, examples[:EXAMPLES])


def _broker(shop: Settings) -> Line:
    """Look at the queues several times: the kitchen's timer puts a message there every few seconds, for a moment."""
    if shop.bus == "memory":
        return Line(BROKER, skipped="there is no broker")
    from kombu.exceptions import OperationalError

    from tasks.bus.broker import CeleryBroker
    from tasks.celery import app, queues

    broker = CeleryBroker(app)
    least: dict[str, int] = {}
    for look in range(_BROKER_LOOKS):
        try:
            depths = broker.depths(least or queues())
        except OperationalError:
            return Line(BROKER, skipped="the broker does not answer")
        least = {name: min(depth, least.get(name, depth)) for name, depth in depths.items() if depth}
        if not least:
            break
        time.sleep(0.1 * (look < _BROKER_LOOKS - 1))
    return Line(BROKER, len(least), tuple(f"{name} holds {depth}" for name, depth in sorted(least.items())))


def examine(shop: Settings, wait: float, *, shown: bool) -> Result:
    """Wait so many seconds for quiet at most, then try everything."""
    with Progress(shown=shown) as progress:
        pending = wait_for_quiet(shop, wait, progress)
        every = (*bus.INVARIANTS, *pizzeria.invariants(shop))
        return Result(pending, list(try_all(shop, every, quiet=pending.quiet, progress=progress)))


def show(result: Result, console: Console) -> None:
    """Print it, line by line."""
    for line in result.lines:
        if line.skipped:
            console.print(f"[dim]not tried[/]  {line.title}: {line.skipped}", highlight=False)
        elif line.violations:
            console.print(f"[bold red]{line.violations:>6} ✗[/]   {line.title}", highlight=False)
            for example in line.examples:
                console.print(f"             {example}", highlight=False, markup=False)
        elif line.noted:
            console.print(f"[yellow]{line.noted:>6}[/]     {line.title}", highlight=False)
        else:
            console.print(f"       [green]ok[/]  {line.title}", highlight=False)
    if result.pending.parked:
        console.print(f"{result.pending.parked} deliveries are parked: see `pizzeria dead list`.", highlight=False)
    if not result.pending.quiet:
        console.print(f"[bold red]Not quiet[/]: still pending are {explain(result.pending)}.", highlight=False)


def _json(result: Result) -> str:
    return json.dumps(
        {
            "ok": result.holds,
            "quiet": result.pending.quiet,
            "pending": {"outbox": result.pending.outbox, **result.pending.deliveries},
            "parked": result.pending.parked,
            "later": result.pending.later,
            "invariants": [
                {
                    "title": i.title,
                    "violations": i.violations,
                    "noted": i.noted,
                    "examples": i.examples,
                    "skipped": i.skipped,
                }
                for i in result.lines
            ],
        },
        indent=2,
    )


@click.command()
@click.option("--wait", type=Finite(0), default=60, show_default=True, help="Seconds to wait for quiet.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def command(wait: float, as_json: bool) -> None:
    """Wait for quiet, then try the invariants over the whole database.

    Exit code 1: one is violated, or it did not get quiet in time.
    """
    result = examine(settings(), wait, shown=not as_json)
    if as_json:
        click.echo(_json(result))
    else:
        show(result, Console(width=None, soft_wrap=True))
    sys.exit(0 if result.holds else 1)
