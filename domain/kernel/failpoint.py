"""Fail points: named places where a test can make the process die, stop, or lose the answer to its commit.

They are off, and cost a comparison, unless the environment's FAILPOINTS names a folder. A file in it, named like a
point, arms that point for whichever process reaches it first; its content says what happens there: ``kill`` the
process, ``kill-group`` it with all that share its process group, ``pause 5`` for so many seconds, or ``lose``: raise
what the database's driver raises when a connection breaks while it waits for the answer.
"""

import os
import signal
import time
from pathlib import Path

from sqlalchemy.exc import OperationalError

FOLDER = "FAILPOINTS"
"""The variable that names the folder; for tests, and no setting."""

_folder = Path(os.environ[FOLDER]) if os.environ.get(FOLDER) else None


class FailPoint:
    """One place, made once as a constant of its module."""

    def __init__(self, name: str) -> None:
        self.name = name

    def reach(self) -> None:
        """Do what a test has armed this point with; nothing, as a rule."""
        if _folder is not None:
            self._strike(_folder)

    def _strike(self, folder: Path) -> None:
        struck = folder / f"{self.name}.struck"
        try:
            (folder / self.name).rename(struck)  # only one process gets it
        except OSError:
            return
        what, _, seconds = struck.read_text().strip().partition(" ")
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif what == "kill-group":
            os.killpg(0, signal.SIGKILL)
        elif what == "pause":
            time.sleep(float(seconds))
        elif what == "lose":
            lost = ConnectionResetError(f"The answer was lost at {self.name}.")
            raise OperationalError("COMMIT", None, lost, connection_invalidated=True)
        else:
            raise ValueError(f"{struck} says {what}: write kill, kill-group, pause SECONDS or lose.")
