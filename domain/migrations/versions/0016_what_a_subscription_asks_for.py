"""Subscriptions that ask for what an event says: the others of its type make no delivery."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add what is asked for: nothing, until `migrate` writes the subscriptions anew."""
    op.execute("ALTER TABLE subscriptions ADD COLUMN condition jsonb NOT NULL DEFAULT '{}'")
