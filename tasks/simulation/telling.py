"""Tells on stderr how far a simulation is."""

import threading
import time

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_LINE_EVERY = 5.0


class Teller:
    """Tells on stderr how far it is: a bar for a person, a line now and then for a log, nothing with --json."""

    def __init__(self, *, silent: bool) -> None:
        console = Console(stderr=True)
        self._silent = silent
        self._bar = (
            Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=console,
            )
            if console.is_terminal and not silent
            else None
        )
        self._what, self._done, self._total = "", 0, 0
        self._said, self._line = 0.0, ""
        self._lock = threading.Lock()

    def __enter__(self) -> "Teller":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def begin(self, what: str, total: int) -> None:
        """Begin another bar."""
        self._what, self._done, self._total = what, 0, total
        if self._bar:
            self._bar.add_task(what, total=total)

    def call(self, what: str) -> None:
        """Give the bar another title."""
        self._what = what
        if self._bar:
            self._bar.update(self._bar.task_ids[-1], description=what)

    def say(self, line: str) -> None:
        """Say something that happened."""
        if self._bar:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        elif not self._silent:
            click.echo(line, err=True)

    def reach(self, done: int) -> None:
        """Say how many are done."""
        with self._lock:
            self._done = done
            if self._bar:
                self._bar.update(self._bar.task_ids[-1], completed=done)
            elif not self._silent and (done >= self._total or time.monotonic() - self._said > _LINE_EVERY):
                self._say(f"{self._what}: {done} of {self._total}")

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        if line != self._line:
            click.echo(line, err=True)
        self._line = line

    def step(self, _: bool) -> None:
        """Say that one more is done."""
        self.reach(self._done + 1)
