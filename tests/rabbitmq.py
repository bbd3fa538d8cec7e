"""A RabbitMQ of the tests' own: on free ports of this machine's loopback, with its data in a temporary folder."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from kombu import Connection

from tests.conftest import free_port, until

# Debian's /usr/sbin/rabbitmq-server insists on being root or the user rabbitmq; what it starts does not.
PROGRAMS = "/usr/lib/rabbitmq/bin"
MISSING = "RabbitMQ is not installed here; on Debian: apt-get install rabbitmq-server."


def program(name: str) -> str:
    """Find one of RabbitMQ's programs; a test that needs it is skipped where it is missing."""
    found = shutil.which(name, path=f"{PROGRAMS}:{os.environ['PATH']}")
    return found or pytest.skip(MISSING)


@dataclass
class RabbitMQ:
    """One node, and the port mapper that it wants, as our own children."""

    folder: Path
    port: int = field(default_factory=free_port)
    _server: str = field(default_factory=lambda: program("rabbitmq-server"))
    _env: dict[str, str] = field(init=False)
    _mapper: "subprocess.Popen[bytes]" = field(init=False)
    _node: "subprocess.Popen[bytes]" = field(init=False)

    def __post_init__(self) -> None:
        mapper = str(free_port())
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),  # where the cookie is kept
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": mapper,
            "RABBITMQ_NODENAME": f"pizzeria{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "none"),
            "RUNNING_UNDER_SYSTEMD": "true",  # so that the program becomes the node, and has no shell to wait for
        }
        self._mapper = self._run(program("epmd"), "-address", "127.0.0.1", "-port", mapper)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Start the node and wait until it answers."""
        self._node = self._run(self._server)
        until(self.answers, 90, "RabbitMQ")

    def answers(self) -> bool:
        assert self._node.poll() is None, (self.folder / "printed").read_text()[-3000:]
        try:
            with Connection(self.url, connect_timeout=2) as connection:
                connection.connect()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """Kill the node, and whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._node.pid, signal.SIGKILL)
        self._node.wait(10)

    def stop(self) -> None:
        """Ask the node to end."""
        self._node.terminate()
        self._node.wait(30)

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let it hold its connections and answer nobody."""
        os.kill(self._node.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._node.pid, signal.SIGCONT)

    def wipe(self) -> None:
        """Have it lose everything: queues, messages, users."""
        self.kill()
        shutil.rmtree(self.folder / "data")
        self.start()

    def virtual_host(self, name: str) -> str:
        """Make a virtual host, which has queues of its own; gives its URL."""
        host = f'<<"{name}">>, '
        all_rights = '<<".*">>, <<".*">>, <<".*">>, <<"test">>'
        code = (
            f'rabbit_vhost:add({host} <<"test">>),'
            f' rabbit_auth_backend_internal:set_permissions(<<"guest">>, {host} {all_rights}).'
        )
        subprocess.run([program("rabbitmqctl"), "eval", code], env=self._env, check=True, capture_output=True)
        return self.url.removesuffix("/") + name

    def end(self) -> None:
        """Leave nothing running."""
        self.kill()
        self._mapper.kill()
        self._mapper.wait(10)

    def _run(self, *words: str) -> "subprocess.Popen[bytes]":
        with (self.folder / "printed").open("ab") as printed:
            return subprocess.Popen(
                words,
                env=self._env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )
