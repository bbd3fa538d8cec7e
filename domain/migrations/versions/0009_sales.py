"""What was sold, line by line; what each order was promised; and indexes of the figures by time."""

from alembic import op

revision = "0009"
down_revision = "0008"

STATEMENTS = (
    # Empty until `pizzeria replay analytics` or new orders fill them; code of the version before leaves them empty.
    "ALTER TABLE order_metrics ADD COLUMN fulfilment text, ADD COLUMN promised_at timestamptz",
    "CREATE INDEX order_metrics_time ON order_metrics (order_time)",
    """
CREATE TABLE sales_lines (
    order_id text NOT NULL,
    line int NOT NULL,
    order_time timestamptz NOT NULL,
    pizza text NOT NULL, name text NOT NULL, size text NOT NULL,
    quantity int NOT NULL,
    revenue numeric(12, 2) NOT NULL,
    PRIMARY KEY (order_id, line)
)""",
    "COMMENT ON COLUMN sales_lines.revenue IS 'before tax'",
    "CREATE INDEX sales_lines_time ON sales_lines (order_time)",
)


def upgrade() -> None:
    """Make room for them."""
    for statement in STATEMENTS:
        op.execute(statement)
