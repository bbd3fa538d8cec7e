import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import until

pytestmark = pytest.mark.integration

SUPERVISOR = """
import sys
from pathlib import Path
from tasks.cli.supervisor import Program, Supervisor

folder = Path(sys.argv[1])
programs = [
    Program(name, (sys.executable, "-c", code, str(folder / f"{name}.pid")), folder / f"{name}.log", patience=3)
    for name, code in zip(sys.argv[2::2], sys.argv[3::2])
]
with Supervisor(lambda said: print(said, flush=True)) as supervisor:
    supervisor.start(programs)
    supervisor.watch()
"""
WRITE_PID = "import os, sys, time, signal, subprocess; from pathlib import Path; f = Path(sys.argv[1]);"
SLEEPS = WRITE_PID + "f.write_text(str(os.getpid())); time.sleep(600)"
IGNORES = WRITE_PID + "signal.signal(signal.SIGTERM, signal.SIG_IGN); f.write_text(str(os.getpid())); time.sleep(600)"
BEGETS = WRITE_PID + (
    "child = subprocess.Popen(['sleep', '600'], start_new_session=True);"
    "f.with_suffix('.child').write_text(str(child.pid)); f.write_text(str(os.getpid())); time.sleep(600)"
)


def _start(folder: Path, **programs: str) -> "subprocess.Popen[str]":
    words = [word for pair in programs.items() for word in pair]
    return subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(folder), *words], stdout=subprocess.PIPE, text=True)


def _pid(path: Path) -> int:
    until(lambda: path.exists() and path.read_text(), what=path.name)
    return int(path.read_text())


def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or "State:\tZ" in Path(f"/proc/{pid}/status").read_text()


@pytest.mark.alone
def test_what_dies_is_started_again_within_a_second(tmp_path: Path) -> None:
    with _start(tmp_path, sleeps=SLEEPS) as supervisor:
        first = _pid(tmp_path / "sleeps.pid")
        (tmp_path / "sleeps.pid").unlink()
        os.kill(first, signal.SIGKILL)
        until(lambda: (tmp_path / "sleeps.pid").exists(), 1.5, "the restart")
        supervisor.terminate()
        said, _ = supervisor.communicate(timeout=10)
    assert "sleeps died (signal 9)" in said
    assert supervisor.returncode == 0


def test_what_will_not_end_is_killed_when_its_patience_is_over(tmp_path: Path) -> None:
    with _start(tmp_path, ignores=IGNORES) as supervisor:
        stubborn = _pid(tmp_path / "ignores.pid")
        supervisor.terminate()
        assert supervisor.wait(10) == 0
    assert _gone(stubborn)


def test_a_grandchild_in_a_session_of_its_own_is_not_left_behind(tmp_path: Path) -> None:
    with _start(tmp_path, begets=BEGETS) as supervisor:
        _pid(tmp_path / "begets.pid")
        grandchild = _pid(tmp_path / "begets.child")
        supervisor.send_signal(signal.SIGINT)
        assert supervisor.wait(10) == 0
    assert _gone(grandchild)


def test_what_runs_dies_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with _start(tmp_path, sleeps=SLEEPS, ignores=IGNORES) as supervisor:
        pids = [_pid(tmp_path / "sleeps.pid"), _pid(tmp_path / "ignores.pid")]
        supervisor.kill()
        supervisor.wait(5)
    until(lambda: all(map(_gone, pids)), what="their end")


def test_what_dies_at_once_is_tried_less_and_less_often(tmp_path: Path) -> None:
    with _start(tmp_path, dies="raise SystemExit(3)") as supervisor:
        assert supervisor.stdout
        heard = [next(supervisor.stdout) for _ in range(3)]
        supervisor.terminate()
        supervisor.communicate(timeout=10)
    assert all("dies died (exit code 3)" in line for line in heard)
