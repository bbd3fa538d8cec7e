"""Payments by card, their postings, and the kitchen's waiting for them."""

from alembic import op

revision = "0007"
down_revision = "0006"

STATEMENTS = (
    "ALTER TABLE orders ADD COLUMN card_token text",
    "COMMENT ON COLUMN orders.card_token IS 'what the payment service calls the card; no number of it'",
    # Who ran before this knows no cards: whatever tickets it opens are paid for.
    "ALTER TABLE tickets ADD COLUMN paid boolean NOT NULL DEFAULT true",
    """
CREATE TABLE payments (
    order_id text PRIMARY KEY,
    state text NOT NULL
        CHECK (state IN ('authorised', 'declined', 'unanswered', 'captured', 'voided', 'refunded')),
    amount numeric(12, 2) NOT NULL,
    currency text NOT NULL,
    key text NOT NULL,
    reference text,
    reason text,
    changed_at timestamptz NOT NULL
)""",
    "COMMENT ON COLUMN payments.key IS 'under which the amount was asked for'",
    "COMMENT ON COLUMN payments.reference IS 'what the payment service calls the payment'",
    """
CREATE TABLE postings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id text NOT NULL,
    account text NOT NULL CHECK (account IN ('card', 'sales', 'tax')),
    cents bigint NOT NULL CHECK (cents <> 0),
    why text NOT NULL CHECK (why IN ('captured', 'refunded')),
    at timestamptz NOT NULL,
    UNIQUE (order_id, why, account)
)""",
    """
CREATE TRIGGER postings_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON postings
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    # The sandbox's own books: what a payment service would keep on its side.
    "CREATE SCHEMA sandbox",
    """
CREATE TABLE sandbox.charges (
    key text PRIMARY KEY,
    reference text NOT NULL UNIQUE,
    cents bigint NOT NULL,
    currency text NOT NULL,
    state text NOT NULL CHECK (state IN ('new', 'declined', 'held', 'captured', 'voided', 'refunded')),
    asked int NOT NULL DEFAULT 1,
    first_asked_at timestamptz NOT NULL DEFAULT clock_timestamp()
)""",
)


def upgrade() -> None:
    """Create them."""
    for statement in STATEMENTS:
        op.execute(statement)
