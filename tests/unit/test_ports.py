"""Ports that we are to listen on."""

import select
import socket

import pytest

from tasks.cli import CannotRun, ports
from tasks.cli.embedded import free_port

pytestmark = pytest.mark.unit

HOST = "127.0.0.1"


def listener(port: int) -> socket.socket:
    """Listen as each of the web's processes does."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind((HOST, port))
    one.listen()
    return one


def test_a_port_is_taken_from_the_moment_that_it_is_held_though_nobody_listens_yet() -> None:
    port = free_port()
    with ports.hold("PIZZERIA", HOST, port):
        for taken in (ports.check, ports.hold):
            with pytest.raises(CannotRun, match=f"Port {port} is taken: set PIZZERIA_PORT"):
                taken("PIZZERIA", HOST, port)
    ports.check("PIZZERIA", HOST, port)


def test_whoever_holds_a_port_is_in_nobodys_way_who_is_to_listen_there_and_is_never_called() -> None:
    port = free_port()
    with ports.hold("PIZZERIA", HOST, port), listener(port) as one, listener(port) as other:
        for _ in range(50):
            with socket.create_connection((HOST, port), 5):
                called, _, _ = select.select([one, other], [], [], 5)
                called[0].accept()[0].close()


def test_where_somebody_listens_nobody_else_can() -> None:
    port = free_port()
    with listener(port), pytest.raises(CannotRun, match="is taken"):
        ports.hold("PIZZERIA", HOST, port)


def test_what_is_left_of_connections_to_somebody_else_keeps_nobody_from_holding_the_port() -> None:
    port = free_port()
    with socket.create_server((HOST, port)) as other, socket.create_connection((HOST, port), 5) as caller:
        other.accept()[0].close()  # whoever hangs up first has the rest wait with them
        assert caller.recv(1) == b""
    with ports.hold("PIZZERIA", HOST, port) as held:
        assert held.getsockname()[1] == port
        with pytest.raises(CannotRun, match="is taken"):
            ports.hold("PIZZERIA", HOST, port)
