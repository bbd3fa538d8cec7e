"""Runs tests in a copy of the tree, with or without a bug in it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from tests.conftest import copy_code
from tests.planted.bugs import Bug

PATIENCE = 600
"""Seconds after which a run is taken for one that never ends: then nobody would learn what is wrong."""
_COPIED = ("domain", "tasks", "web", "tests", "pyproject.toml")


def passes(tests: Iterable[str]) -> str | None:
    """Run tests without a bug; gives what is wrong with that, if anything."""
    failed, said = _run(None, tests)
    return None if failed is False else said


def catches(bug: Bug) -> str | None:
    """Run a bug's test with the bug planted; gives why that does not count as caught, if so."""
    failed, said = _run(bug, [bug.test])
    return None if failed else said or "its test passes all the same"


def _run(bug: Bug | None, tests: Iterable[str]) -> tuple[bool | None, str]:
    """Tell whether a test failed: None where something else went wrong, with what was printed about it."""
    with TemporaryDirectory(prefix="planted-") as folder:
        tree = copy_code(Path(folder), _COPIED)
        for change in bug.change if bug else ():
            change.make(tree)
        printed = _pytest(tree, tests)
        if printed is None:
            return None, "its test does not come to an end"
        return _judge(tree / "result.xml", printed)


def _pytest(tree: Path, tests: Iterable[str]) -> str | None:
    """Run pytest; gives what it printed, or None where it had to be stopped."""
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml", "result.xml", *tests],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            return process.communicate(timeout=PATIENCE)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)  # so that its fixtures end what they started
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=60)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return None


def _judge(result: Path, printed: str) -> tuple[bool | None, str]:
    """A test has failed only in its own body: one that could not even start says nothing about the bug."""
    if not result.exists():
        return None, printed
    suite = ElementTree.parse(result).getroot().find("testsuite")  # noqa: S314 - pytest wrote it just now
    assert suite is not None
    number = {what: int(suite.get(what, "0")) for what in ("tests", "errors", "failures")}
    if number["errors"] or not number["tests"]:
        return None, printed
    return bool(number["failures"]), printed if number["failures"] else ""
