"""`pizzeria simulate --history`: plays what another till sold, and compares what the shop sold with it."""

import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from domain.sheet import DateOrder, SheetError
from tasks.cli import CannotRun
from tasks.cli.menu import dates
from tasks.cli.trial import no_menu, open_shop, run, show
from tasks.simulation import history, sums
from tasks.simulation.fitting import Card, Fitted, fit
from tasks.simulation.history import Sale, Unplaced
from tasks.simulation.placing import Placed
from tasks.simulation.report import Report
from tasks.simulation.shop import Shop

_DAY = click.DateTime(["%Y-%m-%d"])


class _Speed(click.ParamType[float | None]):
    """How many times as fast as it was; None is as fast as may be."""

    name = "speed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        if value is None or value == "max":
            return None
        try:
            speed = float(value)
        except ValueError:
            speed = -1
        if not 0 <= speed < 1e9:
            self.fail("say a number such as 60, or max.", param, ctx)
        return speed or None


@dataclass(frozen=True, slots=True)
class Span:
    """What of a history is to be played, how fast, and as which run."""

    path: str
    since: datetime | None
    until: datetime | None
    speed: float | None
    dates: DateOrder | None
    again: bool


def _sales(span: Span) -> tuple[list[Sale], list[Unplaced]]:
    """Give the orders of a history, and the rows that cannot be read."""
    since, until = (day.date() if day else None for day in (span.since, span.until))
    if since and until and since > until:
        raise CannotRun(f"--from {since} is after --to {until}.")
    try:
        rows, unplaced = history.read(span.path, span.dates)
    except SheetError as error:
        raise CannotRun(str(error)) from None
    sales = history.sales(rows, since, until)
    if not sales and (rows or not unplaced):
        days = sorted({row.at.date() for row in rows})
        has = f"it has those of {days[0]} to {days[-1]}" if days else "it has none at all"
        raise CannotRun(f"{span.path} has no order of these days: {has}.")
    return sales, unplaced


def play(shop: Shop, span: Span, *, wait: bool, as_json: bool) -> bool:
    """Place the orders of another till, and tell what was sold; gives whether that is what the file says."""
    sales, unreadable = _sales(span)
    menu = open_shop(shop)
    try:
        card = Card(menu)
        fitted, misfits = fit(sales, card)
    except (ValueError, KeyError, TypeError) as error:
        raise CannotRun(no_menu(shop, error)) from None
    if not as_json:
        click.echo(f"{len(fitted)} orders; {len(unreadable) + len(misfits)} rows cannot be placed.", err=True)
    orders = _at_their_times(fitted, span)
    started = time.monotonic()
    result, following = run(shop, orders, wait=wait, silent=as_json)
    seconds = round(time.monotonic() - started, 1)
    sold = sums.compare(
        [row for sale in sales for row in sale.rows],
        [*unreadable, *misfits],
        [(order, placed.id, placed.problem) for order, placed in zip(fitted, orders, strict=True)],
        following.seen,
        card,
    )
    before = sum(bool(shop.opened and one.placed_at and one.placed_at < shop.opened) for one in following.seen.values())
    if as_json:
        more = {"seconds": seconds, "placed_before": before}
        click.echo(json.dumps(result.as_json() | {"history": more | sold.as_json()}))
    else:
        _tell(result, sold, seconds, before)
    return sold.equal and not (sold.unplaced or result.lost or result.duplicated)


def _tell(result: Report, sold: sums.Sold, seconds: float, before: int) -> None:
    for line in sums.table(sold):
        click.echo(line)
    show(result)
    click.echo(f"{seconds} s from the first order to the last that is done.")
    if before:
        click.echo(f"{before} orders were placed by an earlier run, and not once more; --again would place them again.")


def _at_their_times(fitted: Sequence[Fitted], span: Span) -> list[Placed]:
    run = f"-{uuid.uuid4().hex}" if span.again else ""
    return [
        Placed(
            order.body,
            order.sale.key + run,
            (order.sale.at - fitted[0].sale.at).total_seconds() / span.speed if span.speed else None,
        )
        for order in fitted
    ]


def options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a history."""
    for option in (
        click.option("--again", is_flag=True, help="Place orders of the history that an earlier run placed once more."),
        dates,
        click.option("--speed", type=_Speed(), default="60", show_default=True, help="So many times as fast, or max."),
        click.option("--to", "until", type=_DAY, help="The last day of the history that is played."),
        click.option("--from", "since", type=_DAY, help="The first day of the history that is played."),
        click.option("--history", type=click.Path(), help="Place the orders of another till: its export, a CSV file."),
    ):
        function = option(function)
    return function
