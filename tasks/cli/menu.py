"""`pizzeria menu`: the menu from a CSV file and as one, and what is off it for today."""

import time
from collections.abc import Sequence
from datetime import date, datetime

import click

from domain.menu import FRESH_SECONDS
from domain.sheet import DateOrder, SheetError
from tasks.cli import CannotRun, eighty_six

_SHOWN = 20

dates = click.option(
    "--dates",
    type=click.Choice(["day-first", "month-first"]),
    help="How dates such as 03/04/2026 are meant, where the file does not tell.",
)


@click.group()
def command() -> None:
    """Import the menu from a CSV file, export it as one, or take a pizza off it for the rest of the day.

    Columns are category, name, size and price; description, vegetarian and recipe may be there too.
    """


command.add_command(eighty_six.off)
command.add_command(eighty_six.back)


@command.command("import")
@click.argument("file", type=click.Path())
@click.option("--replace", is_flag=True, help="The file is the whole menu: what it does not list is retired.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Of a till's export, the prices of this day.")
@dates
def import_(file: str, replace: bool, as_of: datetime | None, dates: DateOrder | None) -> None:
    """Bring the menu up to FILE: all of it, or nothing where a line is wrong. A second time changes nothing.

    Pizzas are known by their names. A till's export will do: each pizza and size at its price, which must be one and
    the same throughout, unless --as-of says of which day.
    """
    from domain import menu_import, price_list
    from domain.price_list import PriceListError
    from tasks.database import database

    if dates and not as_of:
        raise CannotRun("Say --as-of too: without it no date is read.")
    try:
        listed = price_list.read(file, as_of=_day(as_of), dates=dates)
        with database().begin("menu") as work:
            changes = menu_import.apply(work, listed, replace=replace)
    except SheetError as error:
        raise CannotRun(str(error)) from None
    except PriceListError as error:
        raise CannotRun(_lines(file, error.problems)) from None
    for what, lines in (("Added", changes.added), ("Changed", changes.changed), ("Retired", changes.retired)):
        for line in lines:
            click.echo(f"{what:<8} {line}")
    if not changes:
        click.echo("Nothing changes: the menu is as the file says.")
        return
    time.sleep(FRESH_SECONDS + 0.1)  # whoever orders next finds it on every web server's menu
    click.echo(f"Added {len(changes.added)}, changed {len(changes.changed)}, retired {len(changes.retired)}.")


@command.command()
def export() -> None:
    """Print the menu as CSV, as `import` reads it; what is retired is left out."""
    from domain import price_list
    from tasks.database import database

    with database().read() as connection:
        click.echo(price_list.export(connection).encode(), nl=False)


def _day(given: datetime | None) -> date | None:
    return given.date() if given else None


def _lines(file: str, problems: Sequence[str]) -> str:
    more = len(problems) - _SHOWN
    shown = [f"{file}: {problem}" for problem in problems[:_SHOWN]]
    return "\n".join(shown + ([f"{file}: {more} more lines are wrong."] if more > 0 else []))
