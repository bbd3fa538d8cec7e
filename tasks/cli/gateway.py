"""`pizzeria gateway`: shows what the gateways do, and switches them over while everything runs."""

import click
from sqlalchemy import Connection, text

from domain.settings import Settings, settings
from tasks.cli import CannotRun

MODES = {
    "sms": ("console", "sandbox", "faulty", "faulty:permanent"),
    "email": ("console", "sandbox", "faulty", "smtp"),
    "oven": ("real", "faulty", "out"),
    "payment": ("sandbox", "faulty"),
}
RESET = "reset"


@click.command()
@click.argument("name", required=False)
@click.argument("mode", required=False)
def command(name: str | None, mode: str | None) -> None:
    """Show the mode of every gateway, or switch the gateway NAME (sms, email, oven or payment) to MODE.

    The modes of sms are console, sandbox, faulty and faulty:permanent; of email console, sandbox, faulty and smtp;
    of oven real, faulty (it burns what is in it), faulty:<pizza> and out (nothing is put in, tickets wait);
    of payment sandbox and faulty.

    `reset` as the mode goes back to what the environment says. Every process follows within a second.
    """
    from tasks.database import database
    from tasks.gateways.switch import switch

    if name is None:
        with database().read() as connection:
            _show(connection, settings())
        return
    if mode is None:
        raise CannotRun(f"Say which mode: `pizzeria gateway {name} MODE`; {_choices(_known(name))}.")
    with database().begin("gateway") as work:
        _check(work.connection, _known(name), mode, settings())
        switch(work, name, None if mode == RESET else mode)
    now = configured(settings())[name] + ", as configured" if mode == RESET else mode
    click.echo(f"{name} is {now}.")


def configured(shop: Settings) -> dict[str, str]:
    """Give the mode that each gateway has without a switch."""
    return {
        "sms": shop.sms,
        "email": shop.mail,
        "oven": shop.oven,
        "payment": shop.payment,
    }


def _show(connection: Connection, shop: Settings) -> None:
    switched = {row.gateway: row.mode for row in connection.execute(text("SELECT gateway, mode FROM switches"))}
    for name, mode in configured(shop).items():
        how = f"switched; {mode} is configured" if name in switched else "as configured"
        click.echo(f"{name:<7} {switched.get(name, mode):<18} {how}")


def _known(name: str) -> str:
    if name not in MODES:
        raise CannotRun(f"No gateway is called {name}: there are {', '.join(MODES)}.")
    return name


def _choices(name: str) -> str:
    return ", ".join((*MODES[name], *(["faulty:<pizza>"] if name == "oven" else []), RESET))


def _check(connection: Connection, name: str, mode: str, shop: Settings) -> None:
    """Raise CannotRun for a mode that the gateway has not."""
    if mode == RESET or (mode in MODES[name] and mode != "smtp"):
        return
    if mode == "smtp":
        if configured(shop)["email"] != "smtp":
            raise CannotRun(
                "No mail server is configured: set PIZZERIA_SMTP_URL for the workers, such as smtp://host:25."
            )
        return
    fault, _, pizza = mode.partition(":")
    if name == "oven" and fault == "faulty":
        known = connection.execute(text("SELECT id FROM pizzas ORDER BY rank")).scalars().all()
        if pizza in known:
            return
        raise CannotRun(f"No pizza is called {pizza or '…'}: there are {', '.join(known)}.")
    raise CannotRun(f"{name} has no mode {mode}: there are {_choices(name)}.")
