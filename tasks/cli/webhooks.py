"""`pizzeria webhooks`: the endpoints that integration events are posted to."""

from collections.abc import Callable

import click

from domain import webhooks
from domain.integration import NAMES
from domain.kernel.unit_of_work import UnitOfWork
from domain.settings import settings
from tasks.cli import CannotRun

HANDLER = "webhooks"
NONE_YET = "No endpoint yet: add one with `pizzeria webhooks add URL`."


@click.group(invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List the endpoints that integration events are posted to, or add, enable or remove one."""
    if context.invoked_subcommand is None:
        _list()


def _list() -> None:
    from tasks.database import database

    with database().read() as connection:
        found = webhooks.endpoints(connection)
    if not found:
        click.echo(NONE_YET)
        return
    for endpoint in found:
        types = ", ".join(endpoint.types) or "everything"
        last = f"last answer: {endpoint.last_answer}" if endpoint.last_answer else "no answer yet"
        click.echo(f"{endpoint.id}  {endpoint.state:<8}  {endpoint.url}  {types}  {last}")


@command.command()
@click.argument("url")
@click.option("--event", "events", multiple=True, type=click.Choice(NAMES), help="Only these; else all.")
def add(url: str, events: tuple[str, ...]) -> None:
    """Post integration events to URL from now on; prints the secret that they are signed with, this once."""
    from tasks.bus import subscriptions
    from tasks.database import database
    from tasks.gateways import webhook
    from tasks.registry import registry

    try:
        webhook.check(url, webhook.networks(settings().webhook_networks))
    except webhook.EndpointRefusedError as refused:
        raise CannotRun(str(refused)) from refused
    with database().begin("webhooks") as work:
        endpoint = webhooks.add(work, url, events)
        subscriptions.write(work.connection, registry(), only=HANDLER)
    click.echo(f"Endpoint {endpoint.id}. Its secret, shown only now: {endpoint.secret}")


@command.command()
@click.argument("endpoint")
def enable(endpoint: str) -> None:
    """Post to an endpoint again that was disabled, or is left alone for a while."""
    _change(endpoint, webhooks.enable)
    click.echo("It gets what happens from now on, and what still waits for it.")


@command.command()
@click.argument("endpoint")
def remove(endpoint: str) -> None:
    """Forget an endpoint: nothing more is posted to it."""
    from tasks.bus import subscriptions
    from tasks.registry import registry

    def forget(work: UnitOfWork, endpoint_id: str) -> None:
        webhooks.remove(work, endpoint_id)
        subscriptions.write(work.connection, registry(), only=HANDLER)

    _change(endpoint, forget)
    click.echo("Nothing more is posted to it.")


def _change(endpoint: str, change: Callable[[UnitOfWork, str], None]) -> None:
    from tasks.database import database

    try:
        with database().begin("webhooks") as work:
            change(work, endpoint)
    except webhooks.UnknownEndpointError as unknown:
        raise CannotRun(f"No endpoint is called {endpoint}: `pizzeria webhooks` lists them.") from unknown
