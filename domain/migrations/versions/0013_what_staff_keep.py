"""What staff retire: drivers, suppliers and all that stands on the menu; and customers who were written down by hand."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the columns."""
    for table in ("drivers", "suppliers", "ingredients", "sizes", "pizzas", "toppings"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN retired boolean NOT NULL DEFAULT false")
    op.execute("ALTER TABLE customers ADD COLUMN ordered boolean NOT NULL DEFAULT true")
    op.execute("COMMENT ON COLUMN customers.ordered IS 'false while staff have written them down and they ordered nothing'")
