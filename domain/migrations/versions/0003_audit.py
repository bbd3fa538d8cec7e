"""Who mended what, and since when a handler is subscribed."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    """
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    who text NOT NULL,
    action text NOT NULL,
    position bigint,
    handler text,
    reason text
)""",
    "CREATE INDEX audit_delivery ON audit (position, handler)",
    """
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    "ALTER TABLE subscriptions ADD COLUMN since timestamptz NOT NULL DEFAULT now()",
)


def upgrade() -> None:
    """Create the audit of what people did to deliveries."""
    for statement in STATEMENTS:
        op.execute(statement)
