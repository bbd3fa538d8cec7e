"""`python -m tests.chaos.baselines`: web and worker of a baseline, started again when they die."""

import os
import sys
from pathlib import Path

from tasks.cli.supervisor import Program, Supervisor

_APP = "tests.chaos.baselines.app"


def _program(home: Path, name: str, *words: str) -> Program:
    return Program(name, (sys.executable, "-m", *words), home / f"{name}.log")


def main() -> None:
    """Run both until a signal ends them."""
    home = Path(os.environ["PIZZERIA_HOME"])
    home.mkdir()
    web = f"127.0.0.1:{os.environ['PIZZERIA_PORT']}"
    with Supervisor(print) as supervisor:
        supervisor.start(
            [
                _program(
                    home,
                    "web",
                    "gunicorn",
                    f"--bind={web}",
                    "--workers=2",
                    "--threads=8",
                    "--no-control-socket",
                    f"{_APP}:web",
                ),
                _program(home, "worker", "celery", "-A", _APP, "worker", "--concurrency=6", "--loglevel=WARNING"),
            ]
        )
        supervisor.watch()


if __name__ == "__main__":
    main()
