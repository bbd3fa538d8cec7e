"""The same rates, measured on pizzerias that differ in nothing but their past."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from sqlalchemy import Connection, Engine, text

from bench.contest import place_backlog, wait
from bench.growth.past import fill, hold_back
from bench.http.placing import load, serve
from bench.stage import WORKERS, Say, Stage, stage
from tasks import workflow
from tasks.cli.embedded import free_port
from tasks.registry import registry

HELD_BACK = "email"
"""The handler whose deliveries pile up, since nobody serves its queue."""


@dataclass(frozen=True)
class Past:
    """What lies behind a pizzeria: delivered orders, and old deliveries that wait on a queue which nobody serves."""

    name: str
    orders: int
    unserved: bool = False
    backlog: int = 0

    @property
    def queues(self) -> list[str]:
        """The queues that have workers."""
        return sorted({*registry().handlers, *workflow.QUEUES} - ({HELD_BACK} if self.unserved else set()))


def measure(past: Past, rounds: int, orders: int, seconds: float, say: Say) -> dict[str, float]:
    """Give the medians of orders placed a second with web alone, and of a backlog's a second from relay to door."""
    with stage(say, port=free_port()) as here:
        fill(here, past.orders, say)
        if past.backlog:
            hold_back(here, HELD_BACK, past.backlog)
        say(f"{past.name}: placing over HTTP, {rounds} rounds")
        serve(here, here.pizzeria("web", "web"))
        placed = [_placed(here, seconds) for _ in range(rounds)]
        put_by(here.engine, 0)
        for number in range(1, rounds + 1):
            place_backlog(here, "ours", orders)
            put_by(here.engine, number)
        names = range(1, WORKERS + 1)
        here.start(here.pizzeria("relay", "relay"), *(here.pizzeria(f"w-{n}", "worker", *past.queues) for n in names))
        _to_the_door(here, 0, say)  # those placed over HTTP: whatever warms up has done so then
        say(f"{past.name}: {orders} orders to the door, {rounds} rounds")
        delivered = [_to_the_door(here, number, say) for number in range(1, rounds + 1)]
        return {"placed_per_second": median(placed), "delivered_per_second": round(median(delivered), 1)}


def _placed(here: Stage, seconds: float) -> float:
    return float(load(here, f"--seconds={seconds}")["per_second"])


def put_by(engine: Engine, number: int) -> None:
    """Keep what was placed from the relay until its turn."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE IF NOT EXISTS bench_outbox"
                " (number int, position bigint, order_id text NOT NULL, PRIMARY KEY (number, position))"
            )
        )
        connection.execute(
            text(
                "WITH taken AS (DELETE FROM outbox RETURNING position) INSERT INTO bench_outbox"
                " SELECT :number, position, (SELECT data->>'order_id' FROM events e WHERE e.position = taken.position)"
                " FROM taken"
            ),
            {"number": number},
        )


def _to_the_door(here: Stage, number: int, say: Say) -> float:
    """Let the relay have what was put by; gives orders a second from the first handler's start to the last door."""
    with here.engine.begin() as connection:
        release = text("INSERT INTO outbox SELECT position FROM bench_outbox WHERE number = :number")
        count = connection.execute(release, {"number": number}).rowcount
    wait(here, Left(number), "orders to be delivered", count, say)
    return float(count / here.value(_TOOK, number=number))


# Each order of a release is asked for by itself, by its key: a join of the tables may read a million others.
_LEFT = text("""
SELECT count(*) FROM bench_outbox b
WHERE number = :number AND (SELECT status FROM orders o WHERE o.id = b.order_id) <> 'delivered'
""")
_TOOK = """
SELECT extract(epoch FROM max((SELECT delivered_at FROM orders o WHERE o.id = b.order_id))
    - min((SELECT min(started_at) FROM deliveries d WHERE d.position = b.position)))
FROM bench_outbox b WHERE number = :number
"""


@dataclass(frozen=True)
class Left:
    """Counts the orders of one release that are not at the door."""

    number: int

    def __call__(self, connection: Connection) -> int:
        return int(connection.execute(_LEFT, {"number": self.number}).scalar_one())


def compare(pasts: Sequence[tuple[Past, Past]], found: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Give, for each pair, how the second's rates stand to the first's: 1 is the same."""
    return {
        f"{after.name} to {before.name}": {
            name: round(rate / found[before.name][name], 3) for name, rate in found[after.name].items()
        }
        for before, after in pasts
    }
