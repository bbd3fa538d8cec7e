"""Purchases, what is low, what was used, what is off the menu today, and mail about purchases."""

from alembic import op

revision = "0012"
down_revision = "0011"

STATEMENTS = (
    "ALTER TABLE ingredients ADD COLUMN low_until bigint",
    "COMMENT ON COLUMN ingredients.low_until IS 'null while there is enough; else low until so much is there again'",
    """
CREATE TABLE purchases (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ingredient_id text NOT NULL REFERENCES ingredients,
    supplier_id text NOT NULL REFERENCES suppliers,
    quantity bigint NOT NULL CHECK (quantity > 0),
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'received')),
    ordered_at timestamptz NOT NULL,
    received_at timestamptz,
    received_by text,
    CHECK ((state = 'received') = (received_at IS NOT NULL))
)""",
    "CREATE UNIQUE INDEX purchases_open ON purchases (ingredient_id) WHERE state = 'open'",
    "ALTER TABLE stock_movements ADD COLUMN purchase_id bigint",
    "CREATE UNIQUE INDEX stock_movements_purchase ON stock_movements (purchase_id) WHERE purchase_id IS NOT NULL",
    # A wider check needs no look at the rows that are there.
    "ALTER TABLE reservations DROP CONSTRAINT reservations_state_check",
    """
ALTER TABLE reservations ADD CONSTRAINT reservations_state_check
CHECK (state IN ('reserved', 'refused', 'released', 'used')) NOT VALID""",
    """
UPDATE reservations r SET state = 'used' FROM orders o
WHERE o.id = r.order_id AND r.state = 'reserved' AND o.ready_at IS NOT NULL""",
    """
CREATE VIEW stock_ledger AS
SELECT m.id, m.ingredient_id, CASE WHEN m.reason = 'reserved' AND r.state = 'used' THEN 'used' ELSE m.reason END AS reason,
    m.quantity, m.order_id, m.purchase_id, m.moved_at
FROM stock_movements m LEFT JOIN reservations r ON r.order_id = m.order_id""",
    "COMMENT ON VIEW stock_ledger IS 'the movements, where what was reserved for an order that was made is used'",
    "ALTER TABLE pizzas ADD COLUMN off_until timestamptz",
    "COMMENT ON COLUMN pizzas.off_until IS 'taken off by hand until then'",
    "ALTER TABLE messages ALTER COLUMN order_id DROP NOT NULL, ALTER COLUMN customer_id DROP NOT NULL",
    "ALTER TABLE messages ADD COLUMN purchase_id bigint",
    """
ALTER TABLE messages ADD CONSTRAINT messages_are_about_something
CHECK (order_id IS NOT NULL OR purchase_id IS NOT NULL) NOT VALID""",
)


def upgrade() -> None:
    """Add them."""
    for statement in STATEMENTS:
        op.execute(statement)
