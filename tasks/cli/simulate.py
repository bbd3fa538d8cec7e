"""`pizzeria simulate`: places orders over HTTP, sees that each is answered, and waits for their delivery."""

import json
import sys
import threading
import time
from collections.abc import Sequence

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from domain.settings import settings
from tasks.cli import CannotRun
from tasks.simulation.baskets import Baskets
from tasks.simulation.following import Following
from tasks.simulation.ledger import delivered_twice
from tasks.simulation.placing import Placed, Placing, repeat
from tasks.simulation.report import Report, report
from tasks.simulation.shop import NoAnswer, Shop

_REPEATED = 50
_DOOR = 10.0
"""Seconds for which a shop that does not open is waited for."""
_LINE_EVERY = 5.0


class _Teller:
    """Tells on stderr how far it is: a bar for a person, a line now and then for a log, nothing with --json."""

    def __init__(self, *, silent: bool) -> None:
        console = Console(stderr=True)
        self._silent = silent
        self._bar = (
            Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=console,
            )
            if console.is_terminal and not silent
            else None
        )
        self._what, self._done, self._total = "", 0, 0
        self._said, self._line = 0.0, ""
        self._lock = threading.Lock()

    def __enter__(self) -> "_Teller":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def begin(self, what: str, total: int) -> None:
        """Begin another bar."""
        self._what, self._done, self._total = what, 0, total
        if self._bar:
            self._bar.add_task(what, total=total)

    def reach(self, done: int) -> None:
        """Say how many are done."""
        with self._lock:
            self._done = done
            if self._bar:
                self._bar.update(self._bar.task_ids[-1], completed=done)
            elif not self._silent and (done >= self._total or time.monotonic() - self._said > _LINE_EVERY):
                self._say(f"{self._what}: {done} of {self._total}")

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        if line != self._line:
            click.echo(line, err=True)
        self._line = line

    def step(self, _: bool) -> None:
        """Say that one more is done."""
        self.reach(self._done + 1)


def _open(shop: Shop, seed: int) -> Baskets:
    try:
        return Baskets(shop.menu(_DOOR), seed)
    except NoAnswer as error:
        raise CannotRun(f"{error} Start it with `pizzeria up`, or give its --url.") from None
    except (ValueError, KeyError, TypeError) as error:
        problem = (
            str(error) if type(error) is ValueError else f"{shop.url} has no menu that can be read: it is no pizzeria."
        )
        raise CannotRun(problem) from None


def _doubles(shop: Shop, acknowledged: Sequence[Placed], *, silent: bool) -> int:
    """Count second orders for a key, and second deliveries."""
    every = max(1, len(acknowledged) // _REPEATED)
    twice = repeat(shop, list(acknowledged[::every][:_REPEATED]))
    delivered = delivered_twice([order.id for order in acknowledged if order.id])
    if delivered is None and not silent:
        click.echo("Second deliveries were not looked for: the shop's database cannot be reached from here.", err=True)
    return len(twice) + (delivered or 0)


def _follow(shop: Shop, ids: Sequence[str], teller: _Teller, *, wait: bool) -> Following:
    following = Following(shop, lambda known, about: teller.reach(max(known, min(about, len(ids)))))
    if wait:
        teller.begin("Done", len(ids))
        following.run(ids)
    else:
        following.glance(ids)
    return following


def _simulate(
    shop: Shop, number: int, rate: float | None, seed: int, *, wait: bool, silent: bool
) -> tuple[Report, list[str]]:
    """Run the simulation; gives its report and the problems of orders that were not acknowledged."""
    baskets = _open(shop, seed)
    with _Teller(silent=silent) as teller:
        teller.begin("Placed", number)
        placing = Placing(shop, teller.step, rate)
        placing.run(number, baskets)
        acknowledged = [order for order in placing.orders if order.id]
        ids = [order.id for order in acknowledged if order.id]
        following = _follow(shop, ids, teller, wait=wait)
    result = report(
        ids,
        following.seen,
        waited=wait,
        unreadable=following.unreadable,
        duplicated=_doubles(shop, acknowledged, silent=silent) + len(ids) - len(set(ids)),
        seconds=placing.seconds,
        placing=[order.seconds for order in acknowledged],
    )
    return result, [order.problem or "" for order in placing.orders if not order.id]


def _show(result: Report) -> None:
    table = Table(show_header=False, box=None)
    for name, value in result.as_json().items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        table.add_row(name.replace("_", " "), shown)
    Console().print(table)


@click.command()
@click.argument("number", metavar="N", type=click.IntRange(min=1))
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Orders per second, evenly spaced.")
@click.option("--url", help="Where the shop is; by default at PIZZERIA_HOST and PIZZERIA_PORT.")
@click.option("--no-wait", is_flag=True, help="Do not wait until the orders are delivered or cancelled.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed makes other baskets.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def command(number: int, rate: float | None, url: str | None, no_wait: bool, seed: int, as_json: bool) -> None:
    """Place N orders over HTTP and wait until each is delivered or cancelled.

    Exit code 1: an order was lost or duplicated, or not acknowledged. "orders" are those acknowledged.
    """
    where = url or f"http://{settings().host}:{settings().port}"
    if not where.startswith(("http://", "https://")):
        raise CannotRun(f"{where} is no URL of a shop: give one such as http://127.0.0.1:8000.")
    shop = Shop(where)
    try:
        result, problems = _simulate(shop, number, rate, seed, wait=not no_wait, silent=as_json)
    finally:
        shop.close()
    if as_json:
        click.echo(json.dumps(result.as_json()))
    else:
        _show(result)
    if problems:
        click.echo(f"{len(problems)} of {number} orders were not acknowledged; the first: {problems[0]}", err=True)
    sys.exit(1 if result.lost or result.duplicated or problems else 0)
