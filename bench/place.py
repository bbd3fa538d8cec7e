"""`python -m bench.place CONTESTANT NUMBER` places the backlog; servers run, workers do not."""

import sys

from bench import backlog
from domain import menu, orders
from domain.basket import price
from domain.settings import settings
from tasks.database import database


def ours(number: int) -> None:
    """Place the orders as the web does: each in one transaction with its event."""
    with database().read() as connection:
        card = menu.read(connection)
    for new in backlog.orders(number, card):
        with database().begin("bench") as work:
            orders.place(work, new, card, settings())


def handwritten(number: int) -> None:
    """Place the orders by a commit and a `.delay()` for each handler."""
    from bench.handwritten import place

    with database().read() as connection:
        card = menu.read(connection)
    for new in backlog.orders(number, card):
        place(new, price(new.lines, card))


if __name__ == "__main__":
    {"ours": ours, "handwritten": handwritten}[sys.argv[1]](int(sys.argv[2]))
