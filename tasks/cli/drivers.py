"""`pizzeria drivers`: who drives, who is at home, and who is on the road."""

import click

from domain import delivery
from domain.delivery import Driver, UnknownDriverError
from tasks.cli import CannotRun
from tasks.cli.numbers import Whole


@click.group(invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show the drivers; send one home, or welcome one back."""
    from tasks.database import database

    if ctx.invoked_subcommand:
        return
    with database().read() as connection:
        for driver in delivery.drivers(connection):
            click.echo(f"{driver.id:>6}  {driver.name:<20}  {_doing(driver)}")


@command.command()
@click.argument("number", type=Whole(1, 2**31 - 1))
def off(number: int) -> None:
    """Send the driver with this NUMBER home, after the tour that they are on."""
    driver = _set(number, on_duty=False)
    click.echo(f"{driver.name} is off duty{' after this tour' if driver.tour else ''}.")


@command.command()
@click.argument("number", type=Whole(1, 2**31 - 1))
def back(number: int) -> None:
    """Give the driver with this NUMBER tours again."""
    click.echo(f"{_set(number, on_duty=True).name} is on duty.")


def _set(number: int, *, on_duty: bool) -> Driver:
    from tasks.database import database

    try:
        with database().begin("drivers") as work:
            return delivery.set_duty(work, number, on_duty=on_duty)
    except UnknownDriverError as error:
        raise CannotRun(f"{error} `pizzeria drivers` lists them.") from None


def _doing(driver: Driver) -> str:
    if driver.retired:
        return "retired"
    duty = "on duty" if driver.on_duty else "off duty"
    return f"{duty}, on the road with order {driver.tour}" if driver.tour else duty
