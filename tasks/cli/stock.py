"""`pizzeria stock`: what is in the store, what was counted and thrown away, and purchases that have come."""

import re
from collections.abc import Callable
from typing import TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Column, Table

from domain import inventory
from domain.inventory import MAX_QUANTITY, Shelf
from domain.kernel.unit_of_work import UnitOfWork
from tasks.cli import CannotRun
from tasks.cli.person import at_the_command_line

_WIDE = 120
"""Columns for a file or a pipe, where no line needs to be broken."""

T = TypeVar("T")

# So that -5 is an argument, and refused as one.
_plain = {"ignore_unknown_options": True}


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """Show what is in the store: how much, below how much it is low, who sends it, and what is on its way.

    Quantities are what is there beside what is put by for orders.
    """
    if context.invoked_subcommand:
        return
    from tasks.database import database

    with database().read() as connection:
        found = inventory.shelves(connection)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    if not found:
        click.echo("There is nothing in the store yet: `pizzeria migrate` fills an empty one.")
        return
    there, low = Column("There", justify="right"), Column("Low below", justify="right")
    table = Table("Ingredient", "Id", there, low, "Supplier", "On its way")
    for shelf in found:
        table.add_row(*_row(shelf), style="bold red" if shelf.low else None)
    Console(width=None if Console().is_terminal else _WIDE).print(table, markup=False)


def _row(shelf: Shelf) -> tuple[str, ...]:
    coming = f"purchase {shelf.purchase_id}: {shelf.purchased:,} {shelf.unit}" if shelf.purchase_id else ""
    there = f"{shelf.quantity:,} {shelf.unit}"
    return shelf.name, shelf.id, there, f"{shelf.minimum_threshold:,}", shelf.supplier, coming


@command.command(context_settings=_plain)
@click.argument("purchase_id")
def receive(purchase_id: str) -> None:
    """Take a purchase in: what was ordered is in the store then."""
    from domain import procurement

    number = _number(purchase_id, "A purchase has a number: `pizzeria stock` shows those on their way.")
    came = _change(lambda work: procurement.receive(work, number, at_the_command_line()))
    here = came.ingredient
    click.echo(f"{came.quantity} {here.unit} of {here.name.lower()} came; there are {here.quantity} {here.unit} now.")


@command.command(context_settings=_plain)
@click.argument("ingredient")
@click.argument("quantity")
def count(ingredient: str, quantity: str) -> None:
    """Say that QUANTITY of INGREDIENT was counted, beside what is put by for orders."""
    number = _number(quantity, inventory.COUNT)
    here = _change(lambda work: inventory.count(work, ingredient, number))
    click.echo(f"There are {here.quantity} {here.unit} of {here.name.lower()}.")


@command.command(context_settings=_plain)
@click.argument("ingredient")
@click.argument("quantity")
def waste(ingredient: str, quantity: str) -> None:
    """Say that QUANTITY of INGREDIENT was thrown away."""
    number = _number(quantity, inventory.WASTE)
    here = _change(lambda work: inventory.waste(work, ingredient, number))
    click.echo(f"There are {here.quantity} {here.unit} of {here.name.lower()} left.")


def _number(typed: str, wanted: str) -> int:
    if not re.fullmatch("[0-9]{1,13}", typed) or int(typed) > MAX_QUANTITY:
        raise CannotRun(wanted)
    return int(typed)


def _change(step: Callable[[UnitOfWork], T]) -> T:
    from tasks.database import database

    try:
        with database().begin("stock") as work:
            return step(work)
    except inventory.StockError as error:
        raise CannotRun(str(error)) from None
