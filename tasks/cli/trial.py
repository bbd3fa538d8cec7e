"""What every simulation does: opens the shop, places orders, follows them, and sums up."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rich.console import Console
from rich.table import Table

from tasks.cli import CannotRun
from tasks.simulation.following import Following
from tasks.simulation.ledger import delivered_twice
from tasks.simulation.placing import Placed, Placing, repeat
from tasks.simulation.report import Report, report
from tasks.simulation.shop import NoAnswer, Shop
from tasks.simulation.telling import Teller

_REPEATED = 50
_DOOR = 10.0
"""Seconds for which a shop that does not open is waited for."""


def open_shop(shop: Shop) -> Mapping[str, Any]:
    """Read the menu of a shop that is open."""
    try:
        return shop.menu(_DOOR)
    except NoAnswer as error:
        raise CannotRun(f"{error} Start it with `pizzeria up`, or give its --url.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CannotRun(no_menu(shop, error)) from None


def no_menu(shop: Shop, error: Exception) -> str:
    """Say what is wrong with what a shop gave as its menu."""
    return str(error) if type(error) is ValueError else f"{shop.url} has no menu that can be read: it is no pizzeria."


def _doubles(shop: Shop, acknowledged: Sequence[Placed], teller: Teller, patience: float) -> int:
    """Count second orders for a key, and second deliveries."""
    every = max(1, len(acknowledged) // _REPEATED)
    twice = repeat(shop, list(acknowledged[::every][:_REPEATED]))
    delivered = delivered_twice([order.id for order in acknowledged if order.id], patience)
    if delivered is None:
        teller.say("Second deliveries were not looked for: the shop's database cannot be reached from here.")
    return len(twice) + (delivered or 0)


def _follow(shop: Shop, ids: Sequence[str], teller: Teller, *, wait: bool) -> Following:
    following = Following(shop, lambda known, about: teller.reach(max(known, min(about, len(ids)))))
    if wait:
        teller.begin("Done", len(ids))
        following.run(ids)
    else:
        following.glance(ids)
    return following


def run(shop: Shop, orders: Sequence[Placed], *, wait: bool, silent: bool) -> tuple[Report, Following]:
    """Place orders and follow them; each order has its id or its problem afterwards."""
    with Teller(silent=silent) as teller:
        return conduct(shop, orders, teller, wait=wait)


def conduct(
    shop: Shop,
    orders: Sequence[Placed],
    teller: Teller,
    *,
    wait: bool,
    beside: AbstractContextManager[object] | None = None,
    patience: float = 0,
) -> tuple[Report, Following]:
    """Do as ``run`` does, with ``beside`` going on while orders are placed.

    For ``patience`` seconds a database that is away is waited for, where second deliveries are to be counted.
    """
    teller.begin("Placed", len(orders))
    placing = Placing(shop, teller.step)
    with beside or nullcontext():
        placing.run(orders)
    acknowledged = [order for order in orders if order.id]
    ids = [order.id for order in acknowledged if order.id]
    following = _follow(shop, ids, teller, wait=wait)
    result = report(
        ids,
        following.seen,
        waited=wait,
        unreadable=following.unreadable,
        duplicated=_doubles(shop, acknowledged, teller, patience) + len(ids) - len(set(ids)),
        seconds=placing.seconds,
        placing=[order.seconds for order in acknowledged],
    )
    return result, following


def show(result: Report) -> None:
    """Print the figures."""
    table = Table(show_header=False, box=None)
    for name, value in result.as_json().items():
        table.add_row(name.replace("_", " "), _shown(value))
    Console().print(table)


def _shown(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{share} {figure}" for share, figure in value.items() if figure is not None) or "none"
