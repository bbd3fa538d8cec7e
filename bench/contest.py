"""One round of one contestant: fresh servers, a backlog, then two workers, until every order is at the door."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection, Engine, text

from bench import effects
from bench.stage import WORKERS, FailedError, Say, Stage, stage
from tasks.cli.supervisor import Program

STALL_SECONDS = 300
"""So long without any progress, and the round has failed."""


@dataclass(frozen=True)
class Round:
    """What one round took, in seconds, and what it left behind."""

    contestant: str
    orders: int
    placing: float
    first_start_to_last_delivery: float
    process_start_to_last_delivery: float
    first_start_to_last_message: float
    effects: dict[str, int]
    mistakes: list[str]


@dataclass(frozen=True)
class Contestant:
    """Who does the job: what runs beside the servers, and where the start of its first handler can be read.

    ``slow`` ones get fewer orders: rates are compared, and nobody wants to wait for them.
    """

    name: str
    title: str
    programs: Callable[[Stage], list[Program]]
    first_start: str = "SELECT min(at) FROM bench_starts"
    slow: bool = False


def _numbers() -> range:
    return range(1, WORKERS + 1)


def ours(here: Stage) -> list[Program]:
    """A relay and two workers, each for every queue."""
    return [here.pizzeria("relay", "relay"), *(here.pizzeria(f"worker-{n}", "worker") for n in _numbers())]


def _celery(here: Stage) -> list[Program]:
    flags = ("--pool=prefork", "--concurrency=1", "--loglevel=WARNING", "--without-gossip", "--without-mingle")
    app = ("celery", "-A", "bench.peers.celery", "worker")
    return [here.python(f"worker-{n}", *app, *flags, f"--hostname=w{n}@%h") for n in _numbers()]


def _straight(here: Stage) -> list[Program]:
    return [here.python("straight", "bench.peers.straight")]


def _dramatiq(here: Stage) -> list[Program]:
    return [here.python("dramatiq", "dramatiq", "bench.peers.dramatiq", f"--processes={WORKERS}", "--threads=4")]


def _dbos(here: Stage) -> list[Program]:
    return [here.python(f"worker-{n}", "bench.peers.dbos", f"worker-{n}") for n in _numbers()]


def _procrastinate(here: Stage) -> list[Program]:
    return [here.python(f"worker-{n}", "bench.peers.procrastinate") for n in _numbers()]


OURS = Contestant("ours", "ours", ours, "SELECT min(started_at) FROM deliveries")
CONTESTANTS = (
    OURS,
    Contestant("celery", "Celery by hand", _celery),
    Contestant("straight", "straight line", _straight),
    Contestant("dramatiq", "Dramatiq", _dramatiq),
    Contestant("dbos", "DBOS", _dbos, slow=True),
    Contestant("procrastinate", "Procrastinate", _procrastinate, slow=True),
)


def run(contestant: Contestant, orders: int, say: Say) -> Round:
    """Run one round on servers of its own. Raises FailedError, or CannotRun where it could not even begin."""
    with stage(say) as here:
        place_backlog(here, contestant.name, orders)
        started = datetime.now(UTC)
        here.start(*contestant.programs(here))
        wait(here, effects.undelivered, "orders to be delivered", orders, say)
        wait(here, partial(effects.outstanding, orders=orders), "other effects to be written", orders, say)
        return _measure(contestant, here.engine, orders, started)


def place_backlog(here: Stage, contestant: str, orders: int) -> None:
    """Save the orders as the contestant does, before anybody works on them."""
    with here.engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS bench_starts (at timestamptz NOT NULL)"))
    here.once(here.python("place", "bench.place", contestant, str(orders)))


def wait(here: Stage, count: Callable[[Connection], int], what: str, orders: int, say: Say) -> None:
    """Wait until nothing is left of what is counted. Raises FailedError if it comes to a stop."""

    def left() -> int:
        with here.engine.connect() as connection:
            return count(connection)

    def at_most(goal: int) -> Callable[[], bool]:
        return lambda: left() <= goal

    while (before := left()) > 0:
        say(f"  {before} {what}")
        try:
            here.wait(at_most(max(0, before - max(1, orders // 10))), STALL_SECONDS, what)
        except FailedError:
            if left() >= before:
                raise FailedError(f"No progress for {STALL_SECONDS} s with {before} {what}.") from None


def _measure(contestant: Contestant, engine: Engine, orders: int, started: datetime) -> Round:
    with engine.connect() as connection:
        first = connection.execute(text(contestant.first_start)).scalar_one()
        row = connection.execute(
            text(
                "SELECT extract(epoch FROM max(placed_at) - min(placed_at))::float AS placing,"
                " max(delivered_at) AS delivered, (SELECT max(sent_at) FROM messages) AS told FROM orders"
            )
        ).one()
        counted = effects.count(connection)
        return Round(
            contestant.name,
            orders,
            row.placing,
            (row.delivered - first).total_seconds(),
            (row.delivered - started).total_seconds(),
            (row.told - first).total_seconds(),
            counted,
            effects.mistakes(counted, effects.expected(connection, orders)),
        )
