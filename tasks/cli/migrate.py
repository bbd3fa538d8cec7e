"""`pizzeria migrate`: the schema, the subscriptions, and a seed for an empty database."""

import click

from domain import logs, migrations, seed
from domain.kernel.failpoint import FailPoint
from domain.settings import settings

ENDED = "No events go to"
"""So begins the sentence that says whose settings are gone."""

_UPGRADED = FailPoint("migrate.upgraded")
_SEEDED = FailPoint("migrate.seeded")


def migrate() -> bool:
    """Bring the database up to date; tells whether it was empty and has been seeded."""
    from tasks.bus import subscriptions
    from tasks.database import database
    from tasks.registry import registry

    migrations.upgrade(database().engine)
    _UPGRADED.reach()
    with database().engine.begin() as connection:
        ended = subscriptions.write(connection, registry())
        seeded = seed.seed(connection, settings())
        _SEEDED.reach()
    if ended:
        click.echo(f"{ENDED} {', '.join(ended)} any more; what still waited is parked.")
    return seeded


@click.command()
def command() -> None:
    """Migrate, write the subscriptions, and seed an empty database."""
    logs.configure("migrate")
    seeded = migrate()
    click.echo(
        "The database is up to date" + (", and seeded with a menu, stock, drivers and a login." if seeded else ".")
    )
