"""`pizzeria relay`."""

import click

from domain import logs


@click.command()
def command() -> None:
    """Run the relay. Any number of them may run."""
    logs.configure("relay")
    from tasks.celery import make_queues, run_relay

    make_queues()
    run_relay()
