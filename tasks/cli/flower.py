"""`pizzeria flower`: Flower in this very process, read-only and behind a password."""

import sys
from importlib import import_module

import click

from domain import logs
from domain.settings import settings

USER = "staff"


@click.command()
def command() -> None:
    """Run Flower on PIZZERIA_FLOWER_HOST and PIZZERIA_FLOWER_PORT; user staff, password PIZZERIA_FLOWER_PASSWORD."""
    shop = settings()
    logs.configure("flower")
    shop.broker()  # Celery would wrap the sentence about a missing one in a traceback
    from celery.bin.celery import celery
    from tornado.options import options

    import_module("flower.options")  # defines the options below

    # Set here, since a command line or an environment is there for others to read.
    options.basic_auth = [f"{USER}:{shop.secret('flower_password')}"]
    options.cookie_secret = shop.secret("secret_key")
    arguments = [
        f"--address={shop.flower_host}",
        f"--port={shop.flower_port}",
        "--read_only=True",
        "--max_tasks=10000",
        "--purge_offline_workers=60",
        f"--logging={shop.log_level.lower()}",
    ]
    sys.exit(celery.main(["-A", "tasks", "flower", *arguments], prog_name="celery", standalone_mode=False))
