"""The journal of the sandbox that takes messages: what a provider would keep on its side."""

from alembic import op

revision = "0018"
down_revision = "0017"

STATEMENTS = (
    """
CREATE TABLE sandbox.messages (
    key text PRIMARY KEY,
    channel text NOT NULL CHECK (channel IN ('sms', 'email')),
    reference text NOT NULL UNIQUE,
    state text NOT NULL CHECK (state IN ('new', 'sent', 'refused')),
    asked int NOT NULL DEFAULT 1,
    first_asked_at timestamptz NOT NULL DEFAULT clock_timestamp()
)""",
    "COMMENT ON TABLE sandbox.messages IS 'nothing personal: neither to whom nor what'",
)


def upgrade() -> None:
    """Create it."""
    for statement in STATEMENTS:
        op.execute(statement)
