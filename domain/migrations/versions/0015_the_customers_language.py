"""The language in which a customer is written to."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add it; who ordered before is written to in the shop's own."""
    op.execute("ALTER TABLE orders ADD COLUMN language text")
