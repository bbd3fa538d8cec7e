"""`pizzeria web`: gunicorn in this very process, so that its command line says what it is."""

import os
import signal
from pathlib import Path
from typing import Any

import click
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.util import import_app

from domain import logs
from domain.settings import Settings, settings
from tasks.cli import ports
from tasks.cli.fair import Places
from tasks.cli.process import end_with_parent
from tasks.cli.programs import place

_HANDED_DOWN = {"GUNICORN_FD", "LISTEN_FDS"}
"""Variables by which a socket is handed to gunicorn, which listens already: by itself before (USR2), by systemd."""


class _JsonLines(Logger):  # type: ignore[misc]
    """Leaves gunicorn's lines to the root logger, which writes JSON."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn as the pizzeria wants it, for one WSGI application, named as gunicorn names them."""

    def __init__(self, shop: Settings, application: str = "web:create_app()") -> None:
        self._shop = shop
        self._application = application
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn up from the settings."""
        memory = Path("/dev/shm")  # noqa: S108
        options = {
            "bind": place(self._shop.host, self._shop.port),
            "workers": 1 if self._shop.bus == "memory" else self._shop.web_workers,  # each would be a relay of its own
            "worker_class": "tasks.cli.fair.FairWorker",
            "pre_fork": Places().give,
            "worker_connections": 1000,
            "timeout": 60,
            "graceful_timeout": 5,  # event streams never end by themselves
            "keepalive": 30,
            "backlog": 2048,
            "max_requests": 0,
            "limit_request_line": 4094,
            "accesslog": None,
            "loglevel": self._shop.log_level.lower(),
            "logger_class": _JsonLines,
            "control_socket_disable": True,  # a way in that nobody asked for, at a path two pizzerias would share
            "forwarded_allow_ips": "",  # proxies are believed by PIZZERIA_TRUSTED_PROXIES alone
            # A heartbeat on a slow disk would get a healthy worker killed.
            "worker_tmp_dir": str(memory) if memory.is_dir() else None,
            # Killed with their master, or they would keep the port for seconds more.
            "post_fork": lambda _server, _worker: end_with_parent(signal.SIGKILL),
            "preload_app": False,  # gevent patches the sockets in the worker, before anything of ours is imported
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Import the application, in the worker."""
        return import_app(self._application)


@click.command()
def command() -> None:
    """Run the web server on PIZZERIA_HOST and PIZZERIA_PORT with PIZZERIA_WEB_WORKERS processes.

    With PIZZERIA_BUS=memory there is one, which delivers events as well.
    """
    shop = settings()
    if not os.environ.keys() & _HANDED_DOWN:
        ports.check("PIZZERIA", shop.host, shop.port)
    logs.configure("web")
    Server(shop).run()
