"""`pizzeria services`: the embedded PostgreSQL and Redis, and what `up` shares with it."""

import contextlib
import fcntl
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import click

from domain.settings import Settings, settings
from tasks.cli import CannotRun
from tasks.cli.embedded import Postgres, Redis, write_private
from tasks.cli.supervisor import Supervisor

START_SECONDS = 60
LEFTOVER_SECONDS = 30
REACH_SECONDS = 5


@contextlib.contextmanager
def only_one(shop: Settings) -> Iterator[tuple[Path, int]]:
    """Hold HOME for this process; gives its absolute path and a lock for the servers to keep.

    The second lock is handed to the servers themselves, so it tells of servers that outlived a killed supervisor: those
    are waited for, since two servers on the same data would destroy them. A lock of the kernel's is never stale.
    Raises CannotRun if HOME is in use.
    """
    home = shop.home.absolute()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "log").mkdir(mode=0o700, exist_ok=True)
    with (home / "up.lock").open("a") as ours, (home / "servers.lock").open("a") as servers:
        if not _locked(ours.fileno(), 0):
            raise CannotRun(f"A pizzeria is already running in {home}: end it, or set PIZZERIA_HOME to another folder.")
        if not _locked(servers.fileno(), LEFTOVER_SECONDS):
            raise CannotRun(f"Servers of an earlier run still use {home}: end them, or set PIZZERIA_HOME.")
        # Whoever waits for services.json must not find the one of an earlier run.
        (home / "services.json").unlink(missing_ok=True)
        try:
            yield home, servers.fileno()
        finally:
            (home / "services.json").unlink(missing_ok=True)


def _locked(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)


def check_reachable(shop: Settings) -> None:
    """Try the configured servers. Raises CannotRun, without their passwords, if one does not answer."""
    if shop.database_url:
        _check_database(shop.database_url.get_secret_value())
    if shop.broker_url and shop.bus == "celery":
        _check_broker("BROKER", shop.broker_url.get_secret_value())
    if (shop.broker_url or shop.results_url) and shop.bus == "celery":
        _check_broker("RESULTS", shop.results())


def _check_database(url: str) -> None:
    import psycopg

    try:
        where = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        raise CannotRun(
            "PIZZERIA_DATABASE_URL is no URL that can be used:"
            " give one such as postgresql://user:password@host:5432/pizzeria."
        ) from None
    try:
        psycopg.connect(url, connect_timeout=REACH_SECONDS).close()
    except psycopg.Error as error:
        place = f"{where.get('host', 'localhost')}:{where.get('port', 5432)}"
        password = str(where.get("password") or "")
        why = str(error).strip().splitlines()[-1]
        why = why.replace(password, "…") if password else why
        raise CannotRun(f"PIZZERIA_DATABASE_URL: no database answers at {place} ({why}).") from None


def _check_broker(what: str, url: str) -> None:
    import kombu

    from tasks.bus import rabbitmq

    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port}" if parts.hostname else parts.path
    options = {"socket_timeout": REACH_SECONDS, "socket_connect_timeout": REACH_SECONDS} if "amqp" not in url else {}
    try:
        with kombu.Connection(
            url, ssl=rabbitmq.tls(url), connect_timeout=REACH_SECONDS, transport_options=options
        ) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.5, timeout=REACH_SECONDS)
            connection.default_channel.close()
    except Exception as error:  # each transport raises its own
        raise CannotRun(f"PIZZERIA_{what}_URL: nothing answers at {place} ({type(error).__name__}).") from None


def start_servers(shop: Settings, home: Path, lock: int, supervisor: Supervisor) -> None:
    """Start what is not configured, wait until both accept, and write services.json.

    Raises CannotRun if one does not start; its log says why.
    """
    servers: list[Postgres | Redis] = []
    if shop.embedded_database:
        servers.append(Postgres(home))
    if shop.embedded_broker and shop.bus == "celery":
        servers.append(Redis(home))
    for server in servers:
        server.prepare()
        supervisor.start([server.program(keep_open=(lock,))])
    for server in servers:
        supervisor.wait(partial(_settled, server, supervisor), START_SECONDS)
        if not server.accepts():
            raise CannotRun(f"{server.name} does not start: {last_line(home / 'log' / f'{server.name}.log')}")
    urls = {f"{'database' if isinstance(server, Postgres) else 'broker'}_url": server.url for server in servers}
    if shop.database_url:
        urls["database_url"] = shop.database_url.get_secret_value()
    if shop.broker_url:
        urls["broker_url"] = shop.broker_url.get_secret_value()
    write_private(home / "services.json", json.dumps(urls))


def _settled(server: Postgres | Redis, supervisor: Supervisor) -> bool:
    """Whether there is nothing more to wait for: it accepts, or dies again and again."""
    return server.accepts() or supervisor.restarts(server.name) > 3


def last_line(log: Path) -> str:
    """Quote a log's last line, and name the log."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return f"{lines[-1]} ({log})" if lines else f"see {log}"


@click.command()
def command() -> None:
    """Run the embedded PostgreSQL and Redis in the foreground; Ctrl-C ends them.

    Once both accept, their URLs are in HOME/services.json, where every other command looks.
    """
    shop = settings()
    check_reachable(shop)
    if not shop.embedded_database and not shop.embedded_broker:
        raise CannotRun("Nothing to start: PIZZERIA_DATABASE_URL and PIZZERIA_BROKER_URL name servers of your own.")
    with only_one(shop) as (home, lock), Supervisor(click.echo) as supervisor:
        start_servers(shop, home, lock, supervisor)
        click.echo(f"The servers accept; their addresses are in {home / 'services.json'}. Ctrl-C ends them.")
        supervisor.watch()
