"""The pizzeria's database and the one order in which its tables are locked."""

from domain.kernel.unit_of_work import LOCK_SECONDS, Database

# Whoever locks more than one of these locks them in this order, each once and sorted by key, so that no two deadlock.
# `registers`, `kitchen` and `dispatch` are advisory locks: who may change what the staff keep by hand, the menu with
# it; who may load the oven; who may send drivers off. A ticket's lock guards its rows in ticket_pizzas and oven_loads
# too. What `fire` takes late it takes with SKIP LOCKED, which never waits.
LOCK_ORDER = (
    "registers",
    "house_accounts",
    "loyalty_balances",
    "reservations",
    "ingredients",
    "purchases",
    "tickets",
    "kitchen",
    "tours",
    "dispatch",
    "orders",
    "payments",
)


def connect(url: str, *, connections: int = 5, ping: bool = True, lock_seconds: float = LOCK_SECONDS) -> Database:
    """Give the database at a ``postgresql://`` URL, with a pool of so many connections."""
    return Database(url, LOCK_ORDER, connections=connections, ping=ping, lock_seconds=lock_seconds)
