"""Webhooks: where integration events are posted, and what was posted."""

from alembic import op

revision = "0008"
down_revision = "0007"

STATEMENTS = (
    """
CREATE TABLE webhook_endpoints (
    id text PRIMARY KEY,
    url text NOT NULL,
    secret text NOT NULL,
    types text[] NOT NULL,
    created_at timestamptz NOT NULL,
    failures int NOT NULL DEFAULT 0,
    failing_since timestamptz,
    next_call_at timestamptz,
    last_answer text,
    disabled_at timestamptz
)""",
    "COMMENT ON COLUMN webhook_endpoints.types IS 'the integration events that are wanted; none: all'",
    "COMMENT ON COLUMN webhook_endpoints.next_call_at IS 'it is left alone until then'",
    """
CREATE TABLE webhook_posts (
    event_id uuid NOT NULL,
    endpoint_id text NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    answer text NOT NULL,
    posted_at timestamptz NOT NULL,
    PRIMARY KEY (event_id, endpoint_id)
)""",
)


def upgrade() -> None:
    """Create them."""
    for statement in STATEMENTS:
        op.execute(statement)
