"""A pizza's category, and prices that are no longer on the menu."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add them."""
    op.execute("ALTER TABLE pizzas ADD COLUMN category text")
    op.execute("ALTER TABLE prices ADD COLUMN retired boolean NOT NULL DEFAULT false")
