"""The pizzeria's database and the one order in which its tables are locked."""

from collections.abc import Mapping

from domain.kernel.unit_of_work import LOCK_SECONDS, Database, UnitOfWork

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

ADVISORY_LOCKS: Mapping[str, int] = {
    "kitchen": 1,
    "dispatch": 2,
    "registers": 3,
    "caps": -551284770,  # hashtext('caps of texts'), as it was written first
    "migrations": 0x70697A7A61,  # "pizza"
}
"""Every advisory lock of the shop's and its key, no two alike. Who takes one outside LOCK_ORDER takes no other."""


def hold(work: UnitOfWork, lock: str) -> None:
    """Take one of the advisory locks of LOCK_ORDER: nobody else has it until this work ends."""
    work.locks(lock)
    work.run("SELECT pg_advisory_xact_lock(:key)", key=ADVISORY_LOCKS[lock])


def connect(url: str, *, connections: int = 5, ping: bool = True, lock_seconds: float = LOCK_SECONDS) -> Database:
    """Give the database at a ``postgresql://`` URL, with a pool of so many connections."""
    return Database(url, LOCK_ORDER, connections=connections, ping=ping, lock_seconds=lock_seconds)
