"""Up to which event finished deliveries were let go."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    "CREATE TABLE retention (purged_to bigint NOT NULL)",
    "COMMENT ON COLUMN retention.purged_to IS 'position of the last event whose finished deliveries are gone'",
    "INSERT INTO retention (purged_to) VALUES (0)",
    "CREATE UNIQUE INDEX retention_is_one_row ON retention ((true))",
)


def upgrade() -> None:
    """Create the note of how far the ledger was purged."""
    for statement in STATEMENTS:
        op.execute(statement)
