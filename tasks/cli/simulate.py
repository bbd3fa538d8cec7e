"""`pizzeria simulate`: places orders over HTTP, sees that each is answered, and waits for their delivery."""

import json
import sys
import uuid
from typing import Any

import click
from click.core import ParameterSource

from domain.settings import settings
from tasks.cli import CannotRun
from tasks.cli.history import Span, options, play
from tasks.cli.numbers import Finite, Whole
from tasks.cli.programs import address
from tasks.cli.trial import no_menu, open_shop, run, show
from tasks.simulation.baskets import Baskets
from tasks.simulation.placing import Placed
from tasks.simulation.shop import Shop

_ONLY_WITH = {
    "number": ("N", "--day"),
    "rate": ("N",),
    "seed": ("N", "--day"),
    "no_wait": ("N", "--history"),
    "speed": ("--history", "--day"),
    **dict.fromkeys(("since", "until", "dates", "again"), ("--history",)),
}
"""What options go with: a number of orders alone, a history, a day. Those not named here go with all."""


MOST = 1_000_000
"""More than anybody waits for; all are thought out before the first is placed."""

GUESTS = 600
"""So many orders has a Friday, if nothing is said."""


def _baskets(shop: Shop, seed: int) -> Baskets:
    menu = open_shop(shop)
    try:
        return Baskets(menu, seed)
    except (ValueError, KeyError, TypeError) as error:
        raise CannotRun(no_menu(shop, error)) from None


def _simulate(shop: Shop, number: int, rate: float | None, seed: int, *, wait: bool, as_json: bool) -> bool:
    """Place random orders, and tell what came of them; gives whether all is well."""
    baskets = _baskets(shop, seed)
    orders = [Placed(baskets.next(), uuid.uuid4().hex, index / rate if rate else None) for index in range(number)]
    result, _ = run(shop, orders, wait=wait, silent=as_json)
    if as_json:
        click.echo(json.dumps(result.as_json()))
    else:
        show(result)
    if sold_out := sum(order.sold_out for order in orders):
        click.echo(f"{sold_out} of {number} orders asked for what had sold out; `pizzeria stock` says why.", err=True)
    problems = [order.problem or "" for order in orders if not (order.id or order.sold_out)]
    if problems:
        click.echo(f"{len(problems)} of {number} orders were not acknowledged; the first: {problems[0]}", err=True)
    return not (result.lost or result.duplicated or problems)


def _check(history: str | None, *, day: bool) -> None:
    """Raise CannotRun for options that do not go together."""
    context = click.get_current_context()
    if history and day:
        raise CannotRun("--history does not go with --day.")
    mode = "--history" if history else "--day" if day else "N"
    for parameter in context.command.params:
        modes = _ONLY_WITH.get(parameter.name or "", (mode,))
        if mode not in modes and context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE:
            option = "N" if parameter.name == "number" else parameter.opts[-1]
            only = " or ".join(name for name in modes if name.startswith("--"))
            raise CannotRun(f"{option} does not go with {mode}." if mode != "N" else f"{option} wants {only}.")
    if mode == "N" and context.params["number"] is None:
        raise CannotRun("Say N, how many orders, such as `pizzeria simulate 20`, or play a --day or a --history.")
    if day and context.params["speed"] is None:
        raise CannotRun("A day has a clock: say how many times as fast, such as --speed 60.")


@click.command()
@click.argument("number", metavar="[N]", required=False, type=Whole(1, MOST))
@click.option("--rate", type=Finite(min=0, min_open=True), help="Orders per second, evenly spaced.")
@click.option("--url", help="Where the shop is; by default at PIZZERIA_HOST and PIZZERIA_PORT.")
@click.option("--no-wait", is_flag=True, help="Do not wait until the orders are delivered or cancelled.")
@click.option("--seed", type=Whole(), default=0, show_default=True, help="Another seed makes other baskets.")
@click.option("--day", is_flag=True, help="Place the orders of a Friday, with all that goes wrong on it.")
@options
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def command(number: int | None, rate: float | None, url: str | None, no_wait: bool, seed: int, **more: Any) -> None:
    """Place N orders over HTTP and wait until each is delivered or cancelled.

    With --history the orders are those of another till, in their order and rhythm, to be fetched and paid in cash by
    made-up customers; what the shop sold is compared with the file by day, pizza and size. Rows that cannot be placed
    are listed. It may be run again, after an interruption or a change of the menu: no order is placed twice.

    With --day the N orders (600 unless told otherwise) come as on a Friday from 11:00 to 23:00, most at eight:
    pickups and deliveries, cash and cards, some of which are declined; some cancel. A driver falls ill, the oven is
    out for 20 minutes, and so are text messages. It ends with the shop's figures by the played clock, which must be
    what was placed to the cent, and the invariants of `pizzeria check`. It wants the settings of the shop that it
    is played in, where nobody else should order meanwhile. At --speed 60 an hour takes a minute: for 600 orders
    start the pizzeria with PIZZERIA_BAKE_SECONDS=8 PIZZERIA_DRIVE_SECONDS=15 PIZZERIA_OVEN_CAPACITY=30
    PIZZERIA_DRIVERS=30 or so.

    Exit code 1: an order was lost or duplicated, or not acknowledged, or the sums are not the file's or the figures not
    the day's, or a row was not placed, or an invariant is violated. "orders" are those acknowledged.
    """
    path, day, as_json = more.pop("history"), more.pop("day"), more.pop("as_json")
    _check(path, day=day)
    where = url or address(settings().host, settings().port)
    if not where.startswith(("http://", "https://")):
        raise CannotRun(f"{where} is no URL of a shop: give one such as http://127.0.0.1:8000.")
    shop = Shop(where)
    try:
        if path:
            fine = play(shop, Span(path, **more), wait=not no_wait, as_json=as_json)
        elif day:
            from tasks.cli.day import play as play_day  # which needs what the others do not: the shop's database

            fine = play_day(shop, number or GUESTS, seed, more["speed"], as_json=as_json)
        else:
            fine = _simulate(shop, number or 0, rate, seed, wait=not no_wait, as_json=as_json)
    finally:
        shop.close()
    sys.exit(0 if fine else 1)
