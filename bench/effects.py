"""What a round has left in the database, counted in SQL the same way for every contestant."""

from collections.abc import Mapping

from sqlalchemy import Connection, text

from bench import backlog
from bench.backlog import PIZZAS_EACH
from domain import menu
from domain.basket import price
from domain.inventory import RecipeBook

# What is counted → the rows, and how many of them an order has; None where it depends on the recipes.
_ROWS: Mapping[str, tuple[str, int | None]] = {
    "orders delivered": ("orders WHERE status = 'delivered' AND delivered_at IS NOT NULL", 1),
    "tickets done": ("tickets WHERE state = 'done'", 1),
    "pizzas baked": ("ticket_pizzas WHERE state = 'baked'", PIZZAS_EACH),
    "stock reserved": ("reservations WHERE state IN ('reserved', 'used')", 1),
    "stock movements": ("stock_movements WHERE reason = 'reserved'", None),
    "tours delivered": ("tours WHERE state = 'delivered'", 1),
    # What a backlog has overtaken ("confirmed" after "delivered") is settled, too, and not sent any more.
    "text messages settled": ("messages WHERE channel = 'sms' AND state IN ('sent', 'aborted')", 4),
    "mails settled": ("messages WHERE channel = 'email' AND state IN ('sent', 'aborted')", 1),
    "order metrics": ("order_metrics", 1),
    "sales lines": ("sales_lines", PIZZAS_EACH),
    "preparation metrics": ("preparation_metrics", 1),
    "order outcomes": ("order_outcomes WHERE outcome = 'delivered'", 1),
}
_OPEN = text(  # as the partial index has it
    "SELECT count(*) FROM orders WHERE status NOT IN ('delivered', 'cancelled')"
)
_SUMS = text("""
SELECT -sum(quantity) FILTER (WHERE reason = 'reserved') AS taken,
    (SELECT sum(quantity) FROM ingredients) - sum(quantity) AS unaccounted FROM stock_movements
""")


def count(connection: Connection) -> dict[str, int]:
    """Count every effect."""
    counted = {
        name: int(connection.execute(text(f"SELECT count(*) FROM {rows}")).scalar_one())
        for name, (rows, _) in _ROWS.items()
    }
    sums = connection.execute(_SUMS).one()
    return counted | {"stock taken": int(sums.taken or 0), "stock unaccounted for": int(sums.unaccounted)}


def undelivered(connection: Connection) -> int:
    """Count the orders that are not at the door."""
    return int(connection.execute(_OPEN).scalar_one())


def outstanding(connection: Connection, orders: int) -> int:
    """Count the effects that are still to come for so many orders."""
    counted = count(connection)
    return sum(max(0, each * orders - counted[name]) for name, (_, each) in _ROWS.items() if each)


def expected(connection: Connection, orders: int) -> dict[str, int]:
    """Say how many of each the backlog must leave, by the recipes."""
    card, book = menu.read(connection), RecipeBook(connection)
    needs = [book.needs(price(new.lines, card)) for new in backlog.orders(orders, card)]
    rows = {name: each * orders for name, (_, each) in _ROWS.items() if each}
    return rows | {
        "stock movements": sum(len(needed) for needed in needs),
        "stock taken": sum(needed.total() for needed in needs),
        "stock unaccounted for": 0,
    }


def mistakes(effects: Mapping[str, int], expected: Mapping[str, int]) -> list[str]:
    """Say in a sentence each what is not as it must be."""
    return [f"{name}: {effects[name]}, not {wanted}." for name, wanted in expected.items() if effects[name] != wanted]
