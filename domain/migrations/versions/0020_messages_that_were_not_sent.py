"""Messages that wait, have failed or were aborted are few among all: they are found without walking through those."""

from alembic import op

revision = "0020"
down_revision = "0019"

STATEMENTS = ("CREATE INDEX messages_unsent ON messages (state, created_at DESC) WHERE state <> 'sent'",)


def upgrade() -> None:
    """Create it."""
    for statement in STATEMENTS:
        op.execute(statement)
