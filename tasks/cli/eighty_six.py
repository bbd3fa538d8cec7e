"""`pizzeria menu 86` and `pizzeria menu back`: takes a pizza off the menu for the rest of the day, and back."""

import click

from domain.eighty_six import UnknownPizzaError, bring_back, take_off
from domain.settings import settings
from tasks.cli import CannotRun


@click.command("86")
@click.argument("pizza")
def off(pizza: str) -> None:
    """Take PIZZA off the menu until the next day begins in the shop's time zone."""
    from tasks.database import database

    try:
        with database().begin("menu") as work:
            until = take_off(work, pizza, settings())
    except UnknownPizzaError as error:
        raise CannotRun(f"{error} {_known()}") from None
    click.echo(f"{pizza} is off the menu until {until:%Y-%m-%d %H:%M}.")


@click.command("back")
@click.argument("pizza")
def back(pizza: str) -> None:
    """Put PIZZA back on the menu."""
    from tasks.database import database

    try:
        with database().begin("menu") as work:
            bring_back(work, pizza)
    except UnknownPizzaError as error:
        raise CannotRun(f"{error} {_known()}") from None
    click.echo(f"{pizza} is on the menu, as long as the store has what it takes.")


def _known() -> str:
    from domain import menu
    from tasks.database import database

    with database().read() as connection:
        return f"There are {', '.join(menu.read(connection).pizzas)}."
