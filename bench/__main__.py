"""`python -m bench` compares the two contestants, one after the other on this machine."""

import json
import os

import click

from bench import effects, report
from bench.contest import HANDWRITTEN, OURS, FailedError, Round, run


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


@click.command()
@click.option("--orders", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="The backlog.")
@click.option("--rounds", type=click.IntRange(1, 100), default=1, show_default=True, help="How often each has a go.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone on stdout.")
def main(orders: int, rounds: int, as_json: bool) -> None:
    """Measure order-to-door throughput: our pipeline, and the same job in Celery written by hand.

    Each has a fresh PostgreSQL and Redis, the same backlog and two worker processes. Exit codes: 0 fine, 1 the
    effects are not what they must be, or differ; 2 could not run.
    """
    for name in [name for name in os.environ if name.startswith("PIZZERIA_")]:
        del os.environ[name]  # nobody's settings but the bench's own
    done: list[Round] = []
    problems: list[str] = []
    for number in range(1, rounds + 1):
        for contestant in (OURS, HANDWRITTEN):
            _say(f"Round {number} of {rounds}, {contestant.name}")
            try:
                result = run(contestant, orders, _say)
            except FailedError as failure:
                problems.append(f"{contestant.name}: {failure}")
                continue
            done.append(result)
            problems += [f"{contestant.name}: {mistake}" for mistake in effects.mistakes(result.effects, orders)]
    problems += _differences(done)
    summary = report.summarise(done, orders, rounds, problems)
    click.echo(json.dumps(summary, indent=2) if as_json else report.table(summary))
    raise SystemExit(1 if problems else 0)


def _differences(done: list[Round]) -> list[str]:
    ours = [result.effects for result in done if result.contestant == OURS.name]
    theirs = [result.effects for result in done if result.contestant == HANDWRITTEN.name]
    return [sentence for pair in zip(ours, theirs, strict=False) for sentence in effects.differences(*pair)]


if __name__ == "__main__":
    main()
