"""How a supervisor's processes begin: as a program's file, or as a copy of ourselves that becomes a command of ours.

A copy has imported already what a program that starts from its file imports for a second, and shares that memory with
its neighbours. It is made on Linux only: elsewhere the system's own libraries do not bear to be copied.
"""

import atexit
import contextlib
import ctypes
import gc
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

CAN_COPY = sys.platform == "linux"
ASKS_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def end_with_parent(number: signal.Signals) -> None:
    """Have the kernel, where it can, send this process a signal once its parent is gone."""
    if _prctl:
        _prctl(_PR_SET_PDEATHSIG, int(number))


def adopt_orphans() -> None:
    """Have the kernel, where it can, hand us what the processes below us leave behind."""
    if _prctl:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


@dataclass
class Copy:
    """A copy of this process, as far as a supervisor asks about it."""

    pid: int
    returncode: int | None = None


def copy_ourselves(
    argv: Sequence[str], words: Sequence[str], env: Mapping[str, str], log: IO[bytes], orphaned: signal.Signals
) -> Copy:
    """Start `pizzeria WORDS` as a copy of this process, which must have no second thread."""
    sys.stdout.flush()
    sys.stderr.flush()
    gc.freeze()  # or the copy's collector would touch, and so copy, all memory that it could share
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ASKS_TO_END)  # none may come to the copy while it has our handlers
    try:
        pid = os.fork()
        if pid:
            return Copy(pid)
        code = 1
        try:
            _cut_loose(log, orphaned)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.environ.update(env)
            sys.argv = list(argv[1:])
            code = _be(words)
        except BaseException:
            traceback.print_exc()
        finally:
            _leave(code)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _leave(code: int) -> NoReturn:
    """End here and not in our parent's code, after what is to be done at an exit: a worker removes its folder."""
    try:
        atexit._run_exitfuncs()
    finally:
        os._exit(code)


def _cut_loose(log: IO[bytes], orphaned: signal.Signals) -> None:
    """Have nothing to do with our parent any more, but to end with it."""
    os.setsid()
    end_with_parent(orphaned)
    for number in ASKS_TO_END:
        signal.signal(number, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # that by which the folder was read
                os.close(int(name))


def _be(words: Sequence[str]) -> int:
    """Run the command; gives its exit code."""
    from tasks.cli import main

    _be_called(" ".join(("pizzeria", *words)))
    try:
        main(list(words), prog_name="pizzeria")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
    return 0


def _be_called(line: str) -> None:
    """Have `ps` show this as our command line: it reads the memory where the kernel put it, see proc_pid_stat(5)."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    if end - start <= 1:  # a kernel that does not tell
        return
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, line.encode(), min(len(line.encode()), end - start - 1))
