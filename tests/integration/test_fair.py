"""How callers are spread over the web's processes."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection

import pytest

from tasks.cli.embedded import free_port
from tests.conftest import until

pytestmark = pytest.mark.integration

CALLERS = 12
RUN = """
from domain.settings import Settings
from tasks.cli.web import Server
shop = Settings.model_validate({"host": "127.0.0.1", "port": %d, "web_workers": 2})
Server(shop, "tests.fakes.who:app").run()
"""


@contextmanager
def server(port: int) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", RUN % port]) as running:
        try:
            yield
        finally:
            running.terminate()
            running.wait(20)


def call(port: int, stay: ExitStack) -> int:
    """Call, stay connected, and give the process that answers."""
    line = HTTPConnection("127.0.0.1", port, timeout=10)
    stay.callback(line.close)
    line.request("GET", "/")
    return int(line.getresponse().read())


def test_a_process_that_has_more_leaves_whoever_calls_to_another_unless_that_hangs() -> None:
    port, seen = free_port(), Counter[int]()
    with ExitStack() as stay, server(port):

        def both_answer() -> bool:
            with suppress(OSError):
                seen[call(port, stay)] += 1
            return len(seen) == 2

        until(both_answer, 30)
        hangs, other = seen
        os.kill(hangs, signal.SIGSTOP)
        try:
            assert {call(port, stay) for _ in range(CALLERS)} == {other}
        finally:
            os.kill(hangs, signal.SIGCONT)
        after = Counter(call(port, stay) for _ in range(CALLERS))
        assert after[hangs] >= CALLERS - 2, after  # two of them may have found a machine too busy to wake it in time
