"""A clean slate for the next example, on the same database: a template copied for each would take most of the time."""

from tests.integration.conftest import Shop

_WRITTEN = (
    "audit",
    "outbox",
    "deliveries",
    "events",
    "paces",
    "personal_keys",
    "switches",
    "messages",
    "order_metrics",
    "order_outcomes",
    "preparation_metrics",
    "sales_lines",
    "tours",
    "ticket_pizzas",
    "oven_loads",
    "tickets",
    "reservations",
    "purchases",
    "orders",
    "loyalty_transfers",
    "loyalty_entries",
    "loyalty_balances",
    "account_entries",
    "house_accounts",
    "customers",
)


def keep(shop: Shop) -> None:
    """Remember what is in the store."""
    shop.execute("CREATE TABLE seeded AS SELECT id, quantity FROM ingredients")


def wipe(shop: Shop) -> None:
    """Make the shop what it was when it was seeded."""
    with shop.database.engine.begin() as connection:
        # Triggers and foreign keys do not fire for a replica: the log lets itself be emptied.
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for table in _WRITTEN:
            connection.exec_driver_sql(f"DELETE FROM {table}")
        connection.exec_driver_sql("DELETE FROM stock_movements WHERE reason <> 'received' OR purchase_id IS NOT NULL")
        connection.exec_driver_sql(
            "UPDATE ingredients i SET quantity = s.quantity, low_until = NULL FROM seeded s WHERE s.id = i.id"
        )
