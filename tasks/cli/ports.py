"""Ports that we are to listen on, tried before anything is started."""

import errno
import socket

from tasks.cli import CannotRun


def check(names: str, host: str, port: int) -> None:
    """Raise CannotRun if we cannot listen there; ``names`` and _HOST or _PORT are the variables that say where."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(place)
    except (socket.gaierror, UnicodeError):  # the second for a name that cannot be one
        raise CannotRun(f"{names}_HOST: {host} is no address of this machine.") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotRun(f"Port {port} is taken: set {names}_PORT to another one.") from None
        why = (error.strerror or str(error)).lower()
        raise CannotRun(f"Cannot listen on {host}, port {port} ({why}): set {names}_PORT or {names}_HOST.") from None
