"""What belongs to an order in the log: found by its id or the code that people say, and the streams about it."""

import re

from sqlalchemy import Connection, text

SHORTEST = 6
"""Characters of an order's code."""

_HEX = re.compile("[0-9a-f]+")


class UnknownTraceError(Exception):
    """No order, or more than one, is meant; the message says which."""


def find(connection: Connection, said: str) -> str:
    """Give the id of the order that is meant by its id, or by its code or more of the characters that begin with it.

    Raises UnknownTraceError.
    """
    wanted = said.strip().lower()
    if len(wanted) < SHORTEST:
        raise UnknownTraceError(f"“{said}” is too short: give an order's id, or its code of {SHORTEST} characters.")
    if not _HEX.fullmatch(wanted):
        raise UnknownTraceError(f"There is no order “{said}”.")
    ids = (
        connection.execute(
            text("SELECT id FROM orders WHERE id = :wanted OR right(id, 32) LIKE :first LIMIT 2"),
            {"wanted": wanted, "first": wanted + "%"},
        )
        .scalars()
        .all()
    )
    if len(ids) == 1:
        return str(ids[0])
    if ids:
        raise UnknownTraceError(f"More than one order has the code “{said}”: give its whole id.")
    raise UnknownTraceError(f"There is no order “{said}”.")


def streams(connection: Connection, order_id: str) -> list[str]:
    """Give the streams about an order, its own first: its reservation, and the oven loads that its pizzas were in."""
    loads = (
        connection.execute(
            text(
                "SELECT DISTINCT data ->> 'load_id' FROM events WHERE stream = :stream AND type = 'OrderCookingStarted'"
                " UNION SELECT load_id FROM ticket_pizzas WHERE order_id = :id AND load_id IS NOT NULL"
            ),
            {"stream": f"order-{order_id}", "id": order_id},
        )
        .scalars()
        .all()
    )
    return [f"order-{order_id}", f"reservation-{order_id}", *(f"load-{load}" for load in sorted(set(loads)))]
