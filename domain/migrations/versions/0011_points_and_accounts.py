"""Loyalty points and house accounts: a ledger and a balance for each, and what was transferred."""

from alembic import op

revision = "0011"
down_revision = "0010"

STATEMENTS = (
    # No references to customers, as in 0005: each order that is delivered would pay for them.
    """
CREATE TABLE loyalty_balances (
    customer_id text PRIMARY KEY, points bigint NOT NULL DEFAULT 0 CHECK (points >= 0)
)""",
    """
CREATE TABLE loyalty_entries (
    id bigint GENERATED ALWAYS AS IDENTITY,
    customer_id text NOT NULL,
    reason text NOT NULL CHECK (reason IN ('earned', 'sent', 'received')),
    about text NOT NULL,
    points bigint NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (about, reason)
)""",
    "COMMENT ON COLUMN loyalty_entries.about IS 'the order that earned them, or the transfer that moved them'",
    "CREATE INDEX loyalty_entries_customer ON loyalty_entries (customer_id, id)",
    """
CREATE TABLE loyalty_transfers (
    id text PRIMARY KEY,
    sender text NOT NULL REFERENCES customers,
    recipient text NOT NULL REFERENCES customers,
    points bigint NOT NULL CHECK (points > 0),
    balance bigint NOT NULL CHECK (balance >= 0),
    requested_by text NOT NULL,
    at timestamptz NOT NULL,
    idempotency_key text UNIQUE,
    CHECK (sender <> recipient)
)""",
    "COMMENT ON COLUMN loyalty_transfers.balance IS 'what the sender had left'",
    """
CREATE TABLE house_accounts (
    customer_id text PRIMARY KEY REFERENCES customers,
    credit_limit numeric(12, 2) NOT NULL CHECK (credit_limit >= 0),
    balance numeric(12, 2) NOT NULL DEFAULT 0
)""",
    "COMMENT ON COLUMN house_accounts.balance IS 'what the customer owes'",
    """
CREATE TABLE account_entries (
    id bigint GENERATED ALWAYS AS IDENTITY,
    customer_id text NOT NULL REFERENCES house_accounts,
    reason text NOT NULL CHECK (reason IN ('charged', 'cancelled', 'paid')),
    about text NOT NULL,
    amount numeric(12, 2) NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (about, reason)
)""",
    "COMMENT ON COLUMN account_entries.about IS 'the order, or the payment'",
    "CREATE INDEX account_entries_customer ON account_entries (customer_id, id)",
    *(
        f"CREATE TRIGGER {table}_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        for table in ("loyalty_entries", "account_entries")
    ),
    # Not valid: what there is was checked when it was written, and need not be read again.
    "ALTER TABLE orders DROP CONSTRAINT orders_payment_check",
    "ALTER TABLE orders ADD CONSTRAINT orders_payment_check CHECK (payment IN ('cash', 'card', 'account')) NOT VALID",
    "ALTER TABLE loyalty_balances SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,"
    " autovacuum_vacuum_cost_delay = 0)",
)


def upgrade() -> None:
    """Create them, and let orders be put on an account."""
    for statement in STATEMENTS:
        op.execute(statement)
