"""`pizzeria simulate`: places orders over HTTP, sees that each is answered, and waits for their delivery."""

import json
import sys
import uuid
from typing import Any

import click
from click.core import ParameterSource

from domain.settings import settings
from tasks.cli import CannotRun
from tasks.cli.playing import Span, options, play
from tasks.cli.trial import no_menu, open_shop, run, show
from tasks.simulation.baskets import Baskets
from tasks.simulation.placing import Placed
from tasks.simulation.shop import Shop

_OF_BASKETS = ("number", "rate", "seed")
_OF_HISTORIES = ("since", "until", "speed", "dates", "again")


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


def _check(history: str | None) -> None:
    """Raise CannotRun for options that do not go together."""
    context = click.get_current_context()
    called = {parameter.name: parameter.opts[-1] for parameter in context.command.params}
    wrong = [
        called[name]
        for name in (_OF_BASKETS if history else _OF_HISTORIES)
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if wrong:
        one = "N" if wrong[0] == "number" else wrong[0]
        raise CannotRun(f"{one} {'does not go with' if history else 'wants'} --history.")
    if not history and context.params["number"] is None:
        raise CannotRun("Say N, how many orders, such as `pizzeria simulate 20`, or play a --history.")


@click.command()
@click.argument("number", metavar="[N]", required=False, type=click.IntRange(min=1))
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Orders per second, evenly spaced.")
@click.option("--url", help="Where the shop is; by default at PIZZERIA_HOST and PIZZERIA_PORT.")
@click.option("--no-wait", is_flag=True, help="Do not wait until the orders are delivered or cancelled.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed makes other baskets.")
@options
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def command(number: int | None, rate: float | None, url: str | None, no_wait: bool, seed: int, **more: Any) -> None:
    """Place N orders over HTTP and wait until each is delivered or cancelled.

    With --history the orders are those of another till, in their order and rhythm, to be fetched and paid in cash by
    made-up customers; what the shop sold is compared with the file by day, pizza and size. Rows that cannot be placed
    are listed. It may be run again, after an interruption or a change of the menu: no order is placed twice.

    Exit code 1: an order was lost or duplicated, or not acknowledged, or the sums are not the file's, or a row was not
    placed. "orders" are those acknowledged.
    """
    path, as_json = more.pop("history"), more.pop("as_json")
    _check(path)
    where = url or f"http://{settings().host}:{settings().port}"
    if not where.startswith(("http://", "https://")):
        raise CannotRun(f"{where} is no URL of a shop: give one such as http://127.0.0.1:8000.")
    shop = Shop(where)
    try:
        if path:
            fine = play(shop, Span(path, **more), wait=not no_wait, as_json=as_json)
        else:
            fine = _simulate(shop, number or 0, rate, seed, wait=not no_wait, as_json=as_json)
    finally:
        shop.close()
    sys.exit(0 if fine else 1)
