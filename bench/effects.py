"""What a round has left in the database, counted in SQL the same way for both contestants."""

from collections.abc import Mapping

from sqlalchemy import Connection, text

from bench.backlog import PIZZAS_EACH

# What is counted → the rows, and how many of them an order has; None where it depends on the recipes.
_ROWS: Mapping[str, tuple[str, int | None]] = {
    "orders delivered": ("orders WHERE status = 'delivered' AND delivered_at IS NOT NULL", 1),
    "tickets done": ("tickets WHERE state = 'done'", 1),
    "pizzas baked": ("ticket_pizzas WHERE state = 'baked'", PIZZAS_EACH),
    "stock reserved": ("reservations WHERE state = 'reserved'", 1),
    "stock movements": ("stock_movements WHERE reason = 'reserved'", None),
    "tours delivered": ("tours WHERE state = 'delivered'", 1),
    "text messages sent": ("messages WHERE channel = 'sms' AND state = 'sent'", 4),
    "mails sent": ("messages WHERE channel = 'email' AND state = 'sent'", 1),
    "order metrics": ("order_metrics", 1),
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


def mistakes(effects: Mapping[str, int], orders: int) -> list[str]:
    """Say in a sentence each what is not as so many orders must leave it."""
    expected = {name: each * orders for name, (_, each) in _ROWS.items() if each} | {"stock unaccounted for": 0}
    return [f"{name}: {effects[name]}, not {wanted}." for name, wanted in expected.items() if effects[name] != wanted]


def differences(ours: Mapping[str, int], theirs: Mapping[str, int]) -> list[str]:
    """Say in a sentence each where two contestants' effects differ."""
    return [f"{name}: {ours[name]} by ours, {theirs[name]} by hand." for name in ours if ours[name] != theirs[name]]
