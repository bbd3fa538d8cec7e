"""A program that begins as a copy of its supervisor is in all that a person or a signal meets a program of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="Only on Linux does anything begin as a copy."),
]

# Its supervisor has a file open, and a handler for the signals that ask it to end.
SUPERVISOR = """
import json, os, signal, sys, time
from pathlib import Path
import tasks.cli
from tasks.cli.supervisor import Program, Supervisor

folder = Path(sys.argv[1])

def main(words, prog_name):
    there = {
        "words": words,
        "argv": sys.argv,
        "session": os.getsid(0) == os.getpid(),
        "stop": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
        "blocked": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        "variable": os.environ["VARIABLE"],
        "files": [path for path in map(os.path.realpath, Path("/proc/self/fd").iterdir()) if path.endswith("open")],
        "pid": os.getpid(),
    }
    print("to the log")
    (folder / "draft").write_text(json.dumps(there))
    (folder / "draft").rename(folder / "there")
    exec(sys.argv[1])

tasks.cli.main = main
copy = Program(
    "copy", ("python", "program", sys.argv[2]), folder / "copy.log", copied=("worker", "sms"), env={"VARIABLE": "value"}
)
with (folder / "open").open("w"), Supervisor(lambda said: print(said, flush=True)) as supervisor:
    supervisor.start([copy])
    supervisor.watch()
"""


@contextlib.contextmanager
def running(folder: Path, does: str) -> "Iterator[subprocess.Popen[str]]":
    """Run a supervisor, with one copy of it that does what is said, until the block ends."""
    command = [sys.executable, "-c", SUPERVISOR, str(folder), does]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        try:
            yield supervisor
        finally:
            supervisor.kill()


def there(folder: Path) -> dict[str, Any]:
    """Wait for what the copy says of itself."""
    until((folder / "there").exists)
    found: dict[str, Any] = json.loads((folder / "there").read_text())
    (folder / "there").unlink()
    return found


def test_it_has_its_own_name_session_and_log_and_nothing_of_its_supervisors(tmp_path: Path) -> None:
    with running(tmp_path, "time.sleep(600)") as supervisor:
        found = there(tmp_path)
        line = Path(f"/proc/{found['pid']}/cmdline").read_bytes()
        supervisor.terminate()
        assert supervisor.wait(10) == 0
    assert line.rstrip(b"\0") == b"pizzeria worker sms"
    assert (found["words"], found["argv"]) == (["worker", "sms"], ["program", "time.sleep(600)"])
    assert (found["session"], found["stop"], found["blocked"], found["variable"]) == (True, True, [], "value")
    assert found["files"] == []
    assert not Path(f"/proc/{found['pid']}").exists()


def test_what_it_prints_is_in_its_log_when_it_ends(tmp_path: Path) -> None:
    with running(tmp_path, "raise SystemExit(0)"):
        there(tmp_path)
        until(lambda: "to the log\n" in (tmp_path / "copy.log").read_text())


def test_a_killed_one_is_another_copy_a_moment_later(tmp_path: Path) -> None:
    with running(tmp_path, "time.sleep(600)") as supervisor:
        first = there(tmp_path)["pid"]
        os.kill(first, signal.SIGKILL)
        second = there(tmp_path)["pid"]
        supervisor.terminate()
        said, _ = supervisor.communicate(timeout=10)
    assert first != second
    assert "copy died (signal 9)" in said


def test_it_dies_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, "time.sleep(600)") as supervisor:
        pid = there(tmp_path)["pid"]
        supervisor.kill()
        supervisor.wait(5)
    until(lambda: not Path(f"/proc/{pid}").exists(), what="its end")


@pytest.mark.parametrize(
    ("does", "code"),
    [("raise SystemExit(3)", 3), ("raise SystemExit('a sentence')", 1), ("raise OSError('no file')", 1), ("pass", 0)],
)
def test_its_end_has_the_exit_code_of_a_programs(tmp_path: Path, does: str, code: int) -> None:
    with running(tmp_path, does) as supervisor:
        there(tmp_path)
        assert supervisor.stdout
        assert f"copy died (exit code {code})" in next(supervisor.stdout)
    assert ("OSError: no file" in (tmp_path / "copy.log").read_text()) is ("OSError" in does)


# A copy of this supervisor stands still where it has just been made, and has no session of its own yet.
STANDS_STILL = """
import os, sys, time
from pathlib import Path
from tasks.cli.supervisor import Program, Supervisor

folder = Path(sys.argv[1])

def stand_still():
    (folder / "draft").write_text(str(os.getpid()))
    (folder / "draft").rename(folder / "pid")
    time.sleep(600)

os.setsid = stand_still
copy = Program("copy", ("python", "program"), folder / "copy.log", copied=("worker", "sms"), patience=0.5)
with Supervisor(print) as supervisor:
    if sys.argv[2] == "once":
        supervisor.run_once(copy)
    else:
        supervisor.start([copy])
        supervisor.watch()
"""


@pytest.mark.parametrize("how", ["once", "always"])
def test_a_supervisor_asked_to_end_while_a_copy_is_being_made_leaves_nothing(tmp_path: Path, how: str) -> None:
    command = [sys.executable, "-c", STANDS_STILL, str(tmp_path), how]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as supervisor:
        until((tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())
        supervisor.terminate()
        try:
            _, complaints = supervisor.communicate(timeout=10)
            assert (supervisor.returncode, complaints) == (0, "")
            assert not Path(f"/proc/{pid}").exists()
        finally:
            supervisor.kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_what_is_to_be_done_at_its_exit_is_done(tmp_path: Path) -> None:
    cleans_up = "import atexit; atexit.register((folder / 'clean').touch); sys.exit(0)"
    with running(tmp_path, cleans_up):
        there(tmp_path)
        until((tmp_path / "clean").exists)
