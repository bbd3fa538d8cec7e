"""`pizzeria worker`: a Celery worker in this very process, for the queues of one or more handlers."""

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from domain import logs
from domain.settings import settings
from tasks.cli import CannotRun
from tasks.cli.numbers import Whole

READY_FILE = "WORKER_READY_FILE"
"""The variable by which whoever starts a worker is told that it takes messages; no setting."""

_LATE = (
    "celery.apps.worker",
    "celery.concurrency.prefork",
    "celery.events.dispatcher",
    "cffi.cparser",  # by which billiard has the kernel end a pool's process with its worker
    "kombu.pidbox",
    "sqlalchemy.dialects.postgresql",
)


def check_queues(names: Sequence[str], known: Sequence[str]) -> None:
    """Raise CannotRun if a name is no queue's."""
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise CannotRun(f"No queue is called {', '.join(unknown)}; there are {', '.join(known)}.")


def _say_when_ready() -> None:
    """Create the file that `pizzeria up` waits for, once the worker takes messages."""
    path = os.environ.get(READY_FILE)
    if path:
        from celery.signals import worker_ready

        worker_ready.connect(lambda **_: Path(path).touch(mode=0o600), weak=False)


def warm_up() -> None:
    """Import what a worker otherwise imports late, each in its own memory, for those that begin as copies of us."""
    for name in _LATE:
        import_module(name)


@click.command()
@click.argument("queue", nargs=-1)
@click.option("--concurrency", type=Whole(1, 256), default=1, show_default=True, help="Processes of its pool.")
def command(queue: tuple[str, ...], concurrency: int) -> None:
    """Run a worker for each QUEUE named, or for every queue."""
    shop = settings()
    logs.configure("worker")
    from celery.utils.nodenames import host_format

    from tasks.celery import app, make_queues, queues

    known = queues()
    check_queues(queue, known)
    make_queues()
    _say_when_ready()
    name = "-".join(queue) if queue else "all"
    worker = app.Worker(  # not by Celery's command line, which imports Flower and a shell first
        hostname=host_format(f"{name[:80]}-{os.getpid()}@%h"),
        queues=queue or known,
        concurrency=concurrency,
        loglevel=shop.log_level,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    raise SystemExit(worker.exitcode)
