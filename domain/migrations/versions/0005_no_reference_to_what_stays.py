"""No foreign keys where each row of a rush would pay for them, to rows that are never deleted."""

from alembic import op

revision = "0005"
down_revision = "0004"

# The trigger behind a foreign key reads and locks the row it points to, for each row that is written. Events cannot be
# deleted; tickets, loads and ingredients never are, and each of these rows is written while its own is locked.
REFERENCES = (
    ("outbox", "outbox_position_fkey"),
    ("deliveries", "deliveries_position_fkey"),
    ("stock_movements", "stock_movements_ingredient_id_fkey"),
    ("ticket_pizzas", "ticket_pizzas_order_id_fkey"),
    ("ticket_pizzas", "ticket_pizzas_load_id_fkey"),
)


def upgrade() -> None:
    """Drop them."""
    for table, name in REFERENCES:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
