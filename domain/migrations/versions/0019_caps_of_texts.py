"""Which text messages went out in the last hour, where there are caps on them."""

from alembic import op

revision = "0019"
down_revision = "0018"

STATEMENTS = (
    "CREATE TABLE sms_slots (key text PRIMARY KEY, recipient text NOT NULL, at timestamptz NOT NULL)",
    "CREATE INDEX sms_slots_recipient ON sms_slots (recipient, at)",
    "CREATE INDEX sms_slots_at ON sms_slots (at)",
)


def upgrade() -> None:
    """Create it."""
    for statement in STATEMENTS:
        op.execute(statement)
