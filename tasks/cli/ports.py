"""Ports that we are to listen on, tried before anything is started."""

import errno
import socket
from typing import Any

from tasks.cli import CannotRun


def check(names: str, host: str, port: int) -> None:
    """Raise CannotRun if we cannot listen there; ``names`` and _HOST or _PORT are the variables that say where."""
    try:
        trial, place = _socket(host, port)
        with trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(place)
    except (socket.gaierror, UnicodeError):  # the second for a name that cannot be one
        raise CannotRun(f"{names}_HOST: {host} is no address of this machine.") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotRun(f"Port {port} is taken: set {names}_PORT to another one.") from None
        why = (error.strerror or str(error)).lower()
        raise CannotRun(f"Cannot listen on {host}, port {port} ({why}): set {names}_PORT or {names}_HOST.") from None


def hold(names: str, host: str, port: int) -> socket.socket:
    """Take a port, as long as the socket given is open, for processes that all listen there by SO_REUSEPORT.

    They would share it with whoever listens so, a second pizzeria too. Raises CannotRun as ``check`` does, which finds
    the port taken from now on, and not only once the first process listens.
    """
    check(names, host, port)
    held, place = _socket(host, port)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # What is left of connections to somebody else who was there is not in the way; whoever checks the port later is.
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(place)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return held


def _socket(host: str, port: int) -> tuple[socket.socket, Any]:
    family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.socket(family, kind, protocol), place
