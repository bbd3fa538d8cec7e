"""Indexes of the tours that are not over, which every order asks for, and of the codes of orders, by which people ask."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create them."""
    op.execute("CREATE INDEX tours_due ON tours (due_at) WHERE state <> 'delivered'")
    op.execute("CREATE INDEX orders_code ON orders (right(id, 32) text_pattern_ops)")
