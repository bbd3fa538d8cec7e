"""What others told long ago is found by its age, to be forgotten."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the index."""
    op.execute("CREATE INDEX inbox_received ON inbox (received_at)")
