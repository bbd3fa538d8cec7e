"""`python -m tests.chaos`: orders over HTTP while everything breaks, and a report of what came of it."""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.chaos import outside
from tests.chaos.baselines.house import Baseline
from tests.chaos.house import House
from tests.chaos.outside import Outside
from tests.chaos.pizzeria import Ours
from tests.chaos.plan import Plan, draw
from tests.chaos.rendering import text
from tests.chaos.report import Report
from tests.chaos.run import run

_STARTED = time.monotonic()


def _say(sentence: str) -> None:
    click.echo(f"{time.monotonic() - _STARTED:7.1f}  {sentence}", err=True)


def _run(house: House, world: Outside, plan: Plan, patience: float) -> Report:
    """Run a plan and end every process; what could not be done at all ends in exit code 2."""
    try:
        house.folder.mkdir(mode=0o700)
        with house.ending:
            house.open()
            _say(f"The {house.name} is open.")
            return run(house, world, plan, patience, _say)
    except AssertionError as problem:
        _say(f"{problem}; see {house.folder}")
        sys.exit(2)


@click.command()
@click.option("--seconds", type=click.FloatRange(5), default=60, help="For how long orders and faults come.  [60]")
@click.option("--orders", type=click.IntRange(1), default=300, show_default=True)
@click.option("--faults", type=click.IntRange(0), default=22, show_default=True)
@click.option("--seed", type=int, help="Repeats the plan of an earlier run.")
@click.option("--patience", type=click.FloatRange(1), default=90, help="Seconds of standstill that mean lost.  [90]")
@click.option("--baseline", type=click.Choice(["early", "late"]), help="Not the pizzeria, but Celery by hand.")
@click.option("--plan", "only_plan", is_flag=True, help="Print the plan, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone on stdout.")
def main(
    seconds: float,
    orders: int,
    faults: int,
    seed: int | None,
    patience: float,
    baseline: str | None,
    only_plan: bool,
    as_json: bool,
) -> None:
    """Place orders while everything breaks, and report what was lost, done twice, and how long it took to recover.

    Exit codes: 0 nothing was lost or done twice, 1 something was, 2 could not run.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    seed = random.randrange(1_000_000) if seed is None else seed
    folder = Path(tempfile.gettempdir()) / f"chaos-{seed}-{os.getpid()}"
    with outside.running() as world:
        house: House = Baseline(folder, baseline) if baseline else Ours(folder, world.settings)
        plan = draw(seed, seconds, orders, faults, house.kinds)
        if only_plan:
            click.echo("\n".join(map(str, plan.faults)))
            return
        _say(f"The same plan again: --seed {seed} --seconds {seconds:g} --orders {orders} --faults {faults}")
        report = _run(house, world, plan, patience)
    if report.holds:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        _say(f"The journal, the logs and the data are in {folder}")
    click.echo(json.dumps(report.as_json(), indent=2) if as_json else text(report))
    sys.exit(0 if report.holds else 1)


if __name__ == "__main__":
    main()
