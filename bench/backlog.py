"""The backlog that every contestant gets: the same orders in the same sequence."""

from collections.abc import Iterator
from itertools import islice

from domain.basket import Line, NewOrder
from domain.customers import Contact
from domain.menu import Menu

PIZZAS_EACH = 2


def orders(number: int, menu: Menu) -> Iterator[NewOrder]:
    """Give so many orders of two pizzas, each of a customer of its own: delivered, paid in cash, with an e-mail."""
    lines = _lines(menu)
    for n in range(1, number + 1):
        yield NewOrder(
            contact=Contact(f"Guest {n}", f"+1202{n:07}", f"guest{n}@example.com"),
            fulfilment="delivery",
            payment="cash",
            lines=tuple(islice(lines, PIZZAS_EACH)),
            address=f"{n} Via Roma",
        )


def _lines(menu: Menu) -> Iterator[Line]:
    """Go through the whole menu, size by size, again and again."""
    while True:
        for size in menu.sizes:
            for pizza in menu.pizzas:
                yield Line(pizza=pizza, size=size, quantity=1)
