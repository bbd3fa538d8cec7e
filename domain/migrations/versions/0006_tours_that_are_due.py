"""An index of the tours that are not over: they are asked for every time an order leaves or arrives."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create it."""
    op.execute("CREATE INDEX tours_due ON tours (due_at) WHERE state <> 'delivered'")
