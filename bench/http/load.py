"""`python -m bench.http.load PORT …`: a process that places orders over HTTP and prints what came of it as JSON.

Without a rate as many as the server takes, each connection asking again once it is answered. With a rate so many a
second; an order's time then begins when it is its turn, whether or not a connection is free.
"""

import asyncio
import json
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import click

from bench.http.connection import Connection, orders
from bench.http.watching import watch

CREATED = 201


@dataclass
class Load:
    """Places orders over some connections and keeps how long each took, in seconds."""

    port: int
    connections: int
    took: list[float] = field(default_factory=list)
    refused: int = 0
    _idle: list[Connection] = field(default_factory=list)
    _ended: bool = False

    async def as_many_as_it_takes(self, warm: float, seconds: float) -> float:
        """Keep every connection busy, and count for so many seconds; gives the seconds that were counted.

        Before that it warms up for some seconds, from the first answer on: some connect and import only then.
        """
        request = orders(self.port)
        began = math.inf
        warming = asyncio.Event()

        def answered(connection: Connection, status: int) -> None:
            now = perf_counter()
            warming.set()
            if connection.asked_at >= began and not self._ended:
                self._keep(status, now - connection.asked_at)
            if not self._ended:
                connection.ask(request(), now)

        for _ in range(self.connections):  # one after the other
            (connection,) = await self._open(1, answered)
            connection.ask(request(), perf_counter())
        await warming.wait()
        await asyncio.sleep(warm)
        began = perf_counter()
        await asyncio.sleep(seconds)
        self._ended = True
        return perf_counter() - began

    async def at_a_rate(self, rate: float, number: int) -> float:
        """Place so many orders, evenly spaced; gives the seconds it took."""
        request = orders(self.port)
        waiting: deque[float] = deque()

        def answered(connection: Connection, status: int) -> None:
            self._keep(status, perf_counter() - connection.asked_at)
            if waiting:
                connection.ask(request(), waiting.popleft())
            else:
                self._idle.append(connection)

        self._idle = await self._open(self.connections, answered)
        began = perf_counter()
        for index in range(number):
            due = began + index / rate
            await asyncio.sleep(max(0.0, due - perf_counter()))
            if self._idle:
                self._idle.pop().ask(request(), due)
            else:
                waiting.append(due)
        while len(self.took) + self.refused < number:
            await asyncio.sleep(0.01)
        self._ended = True
        return perf_counter() - began

    async def _open(self, number: int, answered: Callable[[Connection, int], None]) -> list[Connection]:
        loop = asyncio.get_running_loop()
        return [
            (await loop.create_connection(lambda: Connection(answered, self._lost), "127.0.0.1", self.port))[1]
            for _ in range(number)
        ]

    def _keep(self, status: int, seconds: float) -> None:
        if status == CREATED:
            self.took.append(seconds)
        else:
            self.refused += 1

    def _lost(self, connection: Connection) -> None:
        self.connections -= 1
        if self.connections and connection in self._idle:  # a server may end one that has long not been used
            self._idle.remove(connection)
        elif not self._ended:
            raise SystemExit("The server hung up.")


def percentile(values: Sequence[float], share: float) -> float | None:
    """Give the nearest rank, in milliseconds."""
    ordered = sorted(values)
    return round(1000 * ordered[max(0, math.ceil(share * len(ordered)) - 1)], 2) if ordered else None


@click.command()
@click.argument("port", type=int)
@click.option("--connections", type=int, default=16)
@click.option("--warm", type=float, default=2.0, help="Seconds before counting begins, twice.")
@click.option("--seconds", type=float, default=10.0)
@click.option("--rate", type=float, help="Orders a second.")
@click.option("--orders", "number", type=int, default=100, help="How many, at a rate.")
@click.option("--watch", "watched", type=Path, help="A file with the ids of orders to be followed meanwhile.")
def main(
    port: int, connections: int, warm: float, seconds: float, rate: float | None, number: int, watched: Path | None
) -> None:
    """Place orders, and print the figures."""
    load = Load(port, connections)

    async def place() -> float:
        if watched:
            await watch(port, watched.read_text().split())
        if rate:
            return await load.at_a_rate(rate, number)
        # Until every process of the server is ready, those that are take every connection, and would keep it.
        await Load(port, connections).as_many_as_it_takes(warm, 0)
        return await load.as_many_as_it_takes(warm, seconds)

    lasted = asyncio.run(place())
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    figures = {name: percentile(load.took, share) for name, share in shares.items()}
    click.echo(json.dumps({"per_second": round(len(load.took) / lasted, 1), **figures, "refused": load.refused}))


if __name__ == "__main__":
    main()
