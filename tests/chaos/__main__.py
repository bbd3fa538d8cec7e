"""`python -m tests.chaos`: orders over HTTP while everything breaks, and a report of what came of it."""

import json
import random
import signal
import sys
import tempfile
from pathlib import Path

import click

from tests.chaos import outside
from tests.chaos.baselines.house import Baseline
from tests.chaos.house import House
from tests.chaos.pizzeria import Ours
from tests.chaos.plan import draw
from tests.chaos.rendering import text
from tests.chaos.run import run


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


@click.command()
@click.option(
    "--seconds", type=click.FloatRange(5), default=60, show_default=True, help="How long orders and faults come."
)
@click.option("--orders", type=click.IntRange(1), default=300, show_default=True)
@click.option("--faults", type=click.IntRange(0), default=20, show_default=True)
@click.option("--seed", type=int, help="Repeats the plan of an earlier run.")
@click.option(
    "--patience",
    type=click.FloatRange(1),
    default=90,
    show_default=True,
    help="Seconds without progress after which what is left is lost.",
)
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

    Exit codes: 0 nothing was, 1 something was, 2 could not run.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    seed = random.randrange(1_000_000) if seed is None else seed
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder, outside.running() as world:
        house: House = Baseline(Path(folder), baseline) if baseline else Ours(Path(folder), world.settings)
        plan = draw(seed, seconds, orders, faults, house.kinds)
        if only_plan:
            click.echo("\n".join(map(str, plan.faults)))
            return
        _say(f"The same plan again: --seed {seed} --seconds {seconds:g} --orders {orders} --faults {faults}")
        try:
            house.open()
            result = run(house, world, plan, Path(folder), patience, _say)
        finally:
            house.end()
    click.echo(json.dumps(result.as_json(), indent=2) if as_json else text(result))
    sys.exit(0 if result.holds else 1)


if __name__ == "__main__":
    main()
