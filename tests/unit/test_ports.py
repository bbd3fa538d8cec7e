"""Ports that we are to listen on."""

import select
import socket

import pytest

from tasks.cli import CannotRun, ports

pytestmark = pytest.mark.unit

HOST = "127.0.0.1"


def free() -> int:
    with socket.socket() as trial:
        trial.bind((HOST, 0))
        return int(trial.getsockname()[1])


def listener(port: int) -> socket.socket:
    """Listen as each of the web's processes does."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind((HOST, port))
    one.listen()
    return one


def test_a_port_is_taken_from_the_moment_that_it_is_held_though_nobody_listens_yet() -> None:
    port = free()
    with ports.hold("PIZZERIA", HOST, port):
        for taken in (ports.check, ports.hold):
            with pytest.raises(CannotRun, match=f"Port {port} is taken: set PIZZERIA_PORT"):
                taken("PIZZERIA", HOST, port)
    ports.check("PIZZERIA", HOST, port)


def test_whoever_holds_a_port_is_in_nobodys_way_who_is_to_listen_there_and_is_never_called() -> None:
    port = free()
    with ports.hold("PIZZERIA", HOST, port), listener(port) as one, listener(port) as other:
        for _ in range(50):
            with socket.create_connection((HOST, port), 5):
                called, _, _ = select.select([one, other], [], [], 5)
                called[0].accept()[0].close()


def test_where_somebody_listens_nobody_else_can() -> None:
    port = free()
    with listener(port), pytest.raises(CannotRun, match="is taken"):
        ports.hold("PIZZERIA", HOST, port)
