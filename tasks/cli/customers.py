"""`pizzeria customers`: who they are, their points, and what they may owe."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import uuid4

import click
import msgspec
from rich.table import Table

from domain import accounts, customers, loyalty
from domain.accounts import AccountError
from domain.customers import NoOneCustomerError, Record
from domain.loyalty import Transfer, TransferError
from tasks.cli.numbers import Whole
from tasks.cli.person import at_the_command_line
from tasks.cli.tables import print_whole

_full = click.option("--full", is_flag=True, help="Show telephone numbers and names whole.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")


class Amount(click.ParamType[Decimal]):
    """An amount of money."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Read it; whether it fits is for the domain to say."""
        amount = accounts.amount(str(value))
        if amount.is_nan():
            self.fail("Give an amount of money, such as 100.00.", param, ctx)
        return amount


@click.group()
def command() -> None:
    """Find customers, transfer points, open and settle house accounts. A telephone number or an id names a customer."""


@command.command("list")
@click.argument("number", default="")
@click.option("--limit", type=Whole(1, 10_000), default=20, show_default=True, help="So many at the most.")
@_full
@_json
def list_(number: str, limit: int, full: bool, as_json: bool) -> None:
    """List the newest customers, or those whose telephone number ends in NUMBER, or begins so after a +."""
    from tasks.database import database

    with database().read() as connection:
        if number:
            found = customers.search(connection, number, limit)
        else:
            found = customers.newest(connection, limit)
    if as_json:
        click.echo(_as_json([_fields(record, full) for record in found]))
    elif not found:
        click.echo("Nobody has such a number." if number else "There are no customers yet.")
    else:
        table = Table("Id", "Telephone", *(["Name"] if full else []), "Points", "Owes", "Of at most")
        for record in found:
            table.add_row(*(str(value) if value is not None else "" for value in _fields(record, full).values()))
        print_whole(table)


@command.command()
@click.argument("customer")
@_full
@_json
def show(customer: str, full: bool, as_json: bool) -> None:
    """Show CUSTOMER with points and house account, and the newest lines of both ledgers."""
    from tasks.database import database

    with _refusals(), database().read() as connection:
        record = customers.find(connection, customer)
        points = loyalty.entries(connection, record.id)
        owed = accounts.entries(connection, record.id)
    if as_json:
        click.echo(_as_json(_fields(record, full) | {"points_ledger": points, "account_ledger": owed}))
        return
    for name, value in _fields(record, full).items():
        click.echo(f"{name.replace('_', ' '):<14}{'none' if value is None else value}")
    for title, lines in (("Points", [(e, e.points) for e in points]), ("House account", [(e, e.amount) for e in owed])):
        if lines:
            click.echo(f"\n{title}")
        for entry, amount in lines:
            click.echo(f"{entry.at:%Y-%m-%d %H:%M:%S}  {amount:>+12}  {entry.reason} {entry.about}")


@command.command()
@click.argument("customer")
@click.option("--limit", type=Amount(), required=True, help="What CUSTOMER may owe, such as 100.00; 0 for no credit.")
def account(customer: str, limit: Decimal) -> None:
    """Open a house account for CUSTOMER, or change its limit. The audit keeps who did it."""
    from tasks.database import database

    with _refusals(), database().begin(_correlation()) as work:
        record = customers.find(work.connection, customer)
        accounts.set_limit(work, record.id, limit, at_the_command_line())
    click.echo(f"{record.masked_phone} may owe {limit:.2f}.")


@command.command()
@click.argument("customer")
@click.option("--amount", type=Amount(), required=True, help="What was paid, such as 25.00.")
def paid(customer: str, amount: Decimal) -> None:
    """Note that CUSTOMER has paid some of what they owe. The audit keeps who did it."""
    from tasks.database import database

    with _refusals(), database().begin(_correlation()) as work:
        record = customers.find(work.connection, customer)
        accounts.pay(work, record.id, amount, at_the_command_line())
        left = customers.get(work.connection, record.id).balance
    click.echo(f"{record.masked_phone} owes {left}.")


@command.command()
@click.argument("sender")
@click.argument("recipient")
@click.argument("points", type=Whole())
@click.option("--key", help="An idempotency key: with the same one, points are transferred once.")
def transfer(sender: str, recipient: str, points: int, key: str | None) -> None:
    """Transfer POINTS from SENDER to RECIPIENT."""
    from tasks.database import database

    with _refusals(), database().begin(_correlation()) as work:
        giver, taker = (customers.find(work.connection, said) for said in (sender, recipient))
        done, new = loyalty.transfer(work, Transfer(giver.id, taker.id, points, at_the_command_line(), key))
    was = "transferred" if new else "were transferred before"
    click.echo(f"{points} from {giver.masked_phone} to {taker.masked_phone} {was}; {done.balance} are left.")


@contextmanager
def _refusals() -> Iterator[None]:
    """Say in its own sentence why something cannot be: exit code 1."""
    try:
        yield
    except (NoOneCustomerError, AccountError, TransferError) as refused:
        click.echo(str(refused), err=True)
        raise click.exceptions.Exit(1) from None


def _fields(record: Record, full: bool) -> dict[str, Any]:
    personal = {"phone": record.phone, "name": record.name} if full else {"phone": record.masked_phone}
    money = {"owes": record.balance, "limit": record.credit_limit}
    return {"id": record.id, **personal, "points": record.points, **money}


def _as_json(what: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(what)).decode()


def _correlation() -> str:
    return f"customers-{uuid4().hex}"
