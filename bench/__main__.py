"""`python -m bench` compares the contestants, one after the other on this machine."""

from importlib.util import find_spec

import click

from bench import report
from bench.contest import CONTESTANTS, Contestant, Round, run
from bench.report import say
from bench.stage import FailedError, only_our_settings


def _chosen(_context: click.Context, _option: click.Parameter, names: str | None) -> tuple[Contestant, ...]:
    wanted = names.split(",") if names else [contestant.name for contestant in CONTESTANTS]
    unknown = sorted(set(wanted) - {contestant.name for contestant in CONTESTANTS})
    if unknown:
        known = ", ".join(contestant.name for contestant in CONTESTANTS)
        raise click.BadParameter(f"nobody is called {', '.join(unknown)}; there are {known}")
    return tuple(contestant for contestant in CONTESTANTS if contestant.name in wanted)


@click.command()
@click.option("--orders", type=click.IntRange(1, 1_000_000), default=2000, show_default=True, help="The backlog.")
@click.option("--slow-orders", type=click.IntRange(1), default=300, show_default=True, help="That of the slow ones.")
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="How often each has a go.")
@click.option("--only", callback=_chosen, help="Names of contestants, with commas between them; else all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone on stdout.")
def main(orders: int, slow_orders: int, rounds: int, only: tuple[Contestant, ...], as_json: bool) -> None:
    """Measure order-to-door throughput: our pipeline, and the same job done in other ways.

    Each has a fresh PostgreSQL and Redis, the same orders, and two worker processes unless it is made for one. Exit
    codes: 0 fine, 1 somebody's effects are not what they must be; 2 could not run.
    """
    if missing := [peer.name for peer in only if peer.name in report.PEERS and find_spec(peer.name) is None]:
        say(f"Not installed: {', '.join(missing)}. Run `make .venv/.ready-bench` first.")
        raise SystemExit(2)
    only_our_settings()
    done: list[Round] = []
    problems: list[str] = []
    for number in range(1, rounds + 1):
        for contestant in only:
            backlog = min(orders, slow_orders) if contestant.slow else orders
            say(f"Round {number} of {rounds}, {contestant.title}: {backlog} orders")
            try:
                done.append(run(contestant, backlog, say))
            except FailedError as failure:
                problems.append(f"{contestant.title}: {failure}")
                continue
            problems += [f"{contestant.title}: {mistake}" for mistake in done[-1].mistakes]
    report.show(report.summarise(done, only, rounds, problems), as_json, report.table)
    raise SystemExit(1 if problems else 0)


if __name__ == "__main__":
    main()
