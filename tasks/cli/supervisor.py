"""Starts programs, restarts what dies, and ends every one of them.

Each program leads a session of its own, so a Ctrl-C in the terminal reaches only us and the order of ending is ours.
Where the kernel can (Linux), it ends our programs should we be killed, and hands us the orphans of a program that was.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

from tasks.cli.process import ASKS_TO_END, CAN_COPY, Copy, adopt_orphans, copy_ourselves, end_with_parent

TICK = 0.1
LOG_BYTES = 20_000_000


class Ended(Exception):
    """A signal asked us to end."""


@dataclass(frozen=True)
class Program:
    """What to run. ``stop`` asks it to end, ``patience`` seconds later it is killed.

    ``orphaned`` is what the kernel sends it should we be killed ourselves: the default suits whatever keeps its state
    elsewhere. ``copied`` are the words after `pizzeria` where a copy of us can become it, on systems that can copy.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    env: dict[str, str] = field(default_factory=dict)
    stop: signal.Signals = signal.SIGTERM
    orphaned: signal.Signals = signal.SIGKILL
    patience: float = 15
    keep_open: tuple[int, ...] = ()
    copied: tuple[str, ...] = ()


class _Running:
    """One program and the process it is at the moment, if any."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | Copy | None = None
        self.started = 0.0
        self.start_at = 0.0
        self.quick_deaths = 0

    def start(self) -> "subprocess.Popen[bytes] | Copy":
        process = self.process = _begin(self.program)
        self.started = time.monotonic()
        return process

    def died(self, code: int) -> str:
        """Note the death and when to start again: at once, but ever later (up to 5 s) if it never lived long."""
        lived = time.monotonic() - self.started
        if self.process:
            _kill_group(self.process.pid)  # its children may be left
        self.quick_deaths = self.quick_deaths + 1 if lived < 3 else 0
        self.start_at = time.monotonic() + (min(5, 0.25 * 2**self.quick_deaths) if self.quick_deaths else 0)
        self.process = None
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def _begin(program: Program) -> "subprocess.Popen[bytes] | Copy":
    with program.log.open("ab") as log:
        if program.copied and CAN_COPY:
            return copy_ourselves(program.argv, program.copied, program.env, log, program.orphaned)
        return subprocess.Popen(
            program.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **program.env},
            start_new_session=True,
            preexec_fn=partial(end_with_parent, program.orphaned),
            pass_fds=program.keep_open,
        )


class Supervisor:
    """Use as a context: inside it programs run, signals become `Ended`, and on leaving it nothing is left.

    ``say`` is told each death and restart. Must be used from the main thread: the kernel ties orphans to it.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._running: dict[str, _Running] = {}
        self._once: dict[int, subprocess.Popen[bytes] | Copy] = {}
        self._stages: list[list[_Running]] = []
        self._signals = 0
        self._looked_at_logs = 0.0

    def __enter__(self) -> "Supervisor":
        """Take the signals that end us."""
        adopt_orphans()
        for number in ASKS_TO_END:
            signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        """End what runs, last started stage first. A signal is a normal end."""
        self._tell("Ending everything.")
        for stage in reversed(self._stages):
            self._end(stage)
        for process in self._once.values():
            _kill(process.pid)
        self._sweep()
        return kind is Ended

    def start(self, programs: Iterable[Program]) -> None:
        """Start programs as one stage: they end together, before the stages that were started earlier."""
        stage = [_Running(program) for program in programs]
        self._stages.append(stage)
        for running in stage:
            self._running[running.program.name] = running
            running.start()

    def wait(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Keep everything running until ``ready``, or for some seconds; say whether it came to be."""
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                return False
            self._tick()
        return True

    def run_once(self, program: Program) -> int:
        """Run a program to its end and give its exit code."""
        process = _Running(program).start()
        self._once[process.pid] = process
        while process.returncode is None:
            self._tick()
        return process.returncode

    def watch(self) -> None:
        """Keep everything running until a signal raises Ended."""
        while True:
            self._tick()

    def restarts(self, name: str) -> int:
        """Give how often the program died soon after its start, in a row."""
        return self._running[name].quick_deaths

    def _tell(self, sentence: str) -> None:
        with contextlib.suppress(OSError):  # the terminal may be the thing that went away
            self._say(sentence)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _tick(self) -> None:
        if self._signals:
            raise Ended
        time.sleep(TICK)
        for running, code in self._reap():
            how = running.died(code)
            self._tell(f"{running.program.name} died ({how}) and is started again; see {running.program.log}")
        now = time.monotonic()
        for running in self._running.values():
            if running.process is None and now >= running.start_at:
                try:
                    running.start()
                except OSError as error:  # no memory, no process left: a moment later there may be
                    running.start_at = now + 1
                    self._tell(f"{running.program.name} cannot be started: {error.strerror}.")
        if now - self._looked_at_logs > 5:
            self._looked_at_logs = now
            _rotate(running.program.log for running in self._running.values())

    def _reap(self) -> Iterator[tuple[_Running, int]]:
        """Take in every dead child: ours, given back with its exit code, and the orphans that the kernel handed us."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            if once := self._once.pop(pid, None):
                once.returncode = code
            for running in self._running.values():
                if running.process and running.process.pid == pid:
                    running.process.returncode = code
                    yield running, code

    def _end(self, stage: list[_Running]) -> None:
        """Ask a stage to end; kill what has not ended in time, or once the user asks a second time."""
        began, asked_before = time.monotonic(), self._signals
        for running in stage:
            if running.process:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(running.process.pid, running.program.stop)
        while alive := [running for running in stage if running.process]:
            waited = time.monotonic() - began
            for running in alive:
                hurry = self._signals > max(asked_before, 1)
                if running.process and waited > (2 if hurry else running.program.patience):
                    _kill(running.process.pid)
            for running, code in self._reap():
                running.died(code)
            time.sleep(TICK / 2)

    def _sweep(self) -> None:
        """Kill the grandchildren that outlived their parents and were handed to us."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            for pid in _children():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(TICK / 2)


def _kill(pid: int) -> None:
    """Kill a child that was not taken in yet, and its group: a copy that has just been made has none."""
    _kill_group(pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _children() -> list[int]:
    me = os.getpid()
    try:
        return [int(pid) for pid in Path(f"/proc/{me}/task/{me}/children").read_text().split()]
    except OSError:
        return []


def _rotate(logs: Iterable[Path]) -> None:
    """Keep each log under LOG_BYTES and one older part beside it. Writers append, so truncating is safe."""
    for log in logs:
        with contextlib.suppress(OSError):
            if log.stat().st_size > LOG_BYTES:
                log.with_suffix(".log.1").write_bytes(log.read_bytes())
                os.truncate(log, 0)
