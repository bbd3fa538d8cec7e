"""`python -m bench.place CONTESTANT NUMBER` places the backlog; servers run, workers do not."""

import sys
from importlib import import_module

from bench import backlog, job
from domain import menu, placing
from domain.basket import price
from domain.placing import Incoming
from domain.settings import settings
from tasks.database import database


def ours(number: int) -> None:
    """Place the orders as the web does: each in one transaction with its event."""
    with database().read() as connection:
        card = menu.read(connection)
    for new in backlog.orders(number, card):
        with database().begin("bench") as work:
            placing.place(work, [Incoming(new, None, "bench")], card, settings())


def peers(name: str, number: int) -> None:
    """Place the orders as a peer does."""
    place = import_module(f"bench.peers.{name}").place
    with database().read() as connection:
        card = menu.read(connection)
    for new in backlog.orders(number, card):
        place(job.draft(new, price(new.lines, card)))


if __name__ == "__main__":
    contestant, number = sys.argv[1], int(sys.argv[2])
    if contestant == "ours":
        ours(number)
    else:
        peers(contestant, number)
