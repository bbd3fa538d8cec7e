"""Sources: the systems that may tell us something, and what each has told."""

from alembic import op

revision = "0014"
down_revision = "0013"

STATEMENTS = (
    """
CREATE TABLE sources (
    name text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('oven', 'partner')),
    secret text NOT NULL,
    created_at timestamptz NOT NULL
)""",
    """
CREATE TABLE inbox (
    source text NOT NULL REFERENCES sources ON DELETE CASCADE,
    id text NOT NULL,
    digest bytea NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (source, id)
)""",
    "COMMENT ON COLUMN inbox.digest IS 'of what was told: the same id with another word is refused'",
)


def upgrade() -> None:
    """Create them."""
    for statement in STATEMENTS:
        op.execute(statement)
