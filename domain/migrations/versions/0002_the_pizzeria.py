"""The menu, orders, stock, kitchen, delivery, messages and figures."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    # Who may log in.
    """
CREATE TABLE staff (
    username text PRIMARY KEY,
    password_hash text NOT NULL,
    role text NOT NULL CHECK (role IN ('manager', 'cook', 'driver'))
)""",
    # The menu: sizes, prices and recipes are data.
    """
CREATE TABLE suppliers (
    id text PRIMARY KEY, name text NOT NULL, email text NOT NULL, phone text NOT NULL, lead_days int NOT NULL
)""",
    """
CREATE TABLE ingredients (
    id text PRIMARY KEY,
    name text NOT NULL,
    unit text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity >= 0),
    minimum_threshold bigint NOT NULL CHECK (minimum_threshold >= 0),
    supplier_id text NOT NULL REFERENCES suppliers
)""",
    "CREATE TABLE sizes (id text PRIMARY KEY, name text NOT NULL, rank int NOT NULL UNIQUE)",
    """
CREATE TABLE pizzas (
    id text PRIMARY KEY, name text NOT NULL, description text NOT NULL, vegetarian boolean NOT NULL,
    rank int NOT NULL, sold_out boolean NOT NULL DEFAULT false
)""",
    """
CREATE TABLE prices (
    pizza_id text REFERENCES pizzas, size_id text REFERENCES sizes, price numeric(10, 2) NOT NULL CHECK (price > 0),
    PRIMARY KEY (pizza_id, size_id)
)""",
    """
CREATE TABLE recipes (
    pizza_id text, size_id text, ingredient_id text REFERENCES ingredients, quantity int NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (pizza_id, size_id, ingredient_id),
    FOREIGN KEY (pizza_id, size_id) REFERENCES prices (pizza_id, size_id)
)""",
    """
CREATE TABLE toppings (
    id text PRIMARY KEY, name text NOT NULL, price numeric(10, 2) NOT NULL CHECK (price >= 0), rank int NOT NULL,
    ingredient_id text NOT NULL REFERENCES ingredients, quantity int NOT NULL CHECK (quantity > 0)
)""",
    # Orders.
    """
CREATE TABLE customers (
    id text PRIMARY KEY, phone text NOT NULL UNIQUE, name text NOT NULL, email text,
    created_at timestamptz NOT NULL
)""",
    """
CREATE TABLE orders (
    id text PRIMARY KEY,
    customer_id text NOT NULL REFERENCES customers,
    status text NOT NULL
        CHECK (status IN ('placed', 'cooking', 'ready', 'out_for_delivery', 'delivered', 'cancelled')),
    fulfilment text NOT NULL CHECK (fulfilment IN ('delivery', 'pickup')),
    payment text NOT NULL CHECK (payment IN ('cash', 'card')),
    name text NOT NULL, phone text NOT NULL, email text, address text, note text,
    items jsonb NOT NULL,
    subtotal numeric(12, 2) NOT NULL, tax numeric(12, 2) NOT NULL, total numeric(12, 2) NOT NULL,
    currency text NOT NULL,
    placed_at timestamptz NOT NULL,
    estimated_ready_time timestamptz NOT NULL,
    estimated_delivery_time timestamptz NOT NULL,
    cooking_at timestamptz, ready_at timestamptz, out_for_delivery_at timestamptz,
    delivered_at timestamptz, cancelled_at timestamptz, cancelled_reason text,
    idempotency_key text UNIQUE,
    request_hash bytea,
    CHECK (fulfilment = 'pickup' OR address IS NOT NULL)
)""",
    "CREATE INDEX orders_open ON orders (placed_at) WHERE status NOT IN ('delivered', 'cancelled')",
    # Stock: the ledger's movements sum to the quantity.
    """
CREATE TABLE reservations (
    order_id text PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('reserved', 'refused', 'released')),
    ingredients jsonb NOT NULL DEFAULT '{}'
)""",
    """
CREATE TABLE stock_movements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ingredient_id text NOT NULL REFERENCES ingredients,
    reason text NOT NULL CHECK (reason IN ('reserved', 'released', 'used', 'received', 'counted', 'wasted')),
    quantity bigint NOT NULL,
    order_id text,
    moved_at timestamptz NOT NULL DEFAULT now()
)""",
    # The kitchen.
    """
CREATE TABLE tickets (
    order_id text PRIMARY KEY,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'cooking', 'done', 'failed', 'cancelled')),
    stock_reserved boolean NOT NULL DEFAULT false,
    priority int,
    placed_at timestamptz,
    preparation_seconds int
)""",
    "COMMENT ON COLUMN tickets.priority IS 'null until the order itself is known to the kitchen'",
    """
CREATE INDEX tickets_waiting ON tickets (priority DESC, placed_at, order_id)
WHERE state = 'open' AND stock_reserved AND priority IS NOT NULL""",
    "CREATE INDEX tickets_cooking ON tickets (order_id) WHERE state IN ('cooking', 'failed')",
    """
CREATE TABLE oven_loads (
    id text PRIMARY KEY, parts int NOT NULL, capacity int NOT NULL, fired_at timestamptz NOT NULL, due_at timestamptz NOT NULL,
    plated_at timestamptz
)""",
    "CREATE INDEX oven_loads_in ON oven_loads (due_at) WHERE plated_at IS NULL",
    """
CREATE TABLE ticket_pizzas (
    order_id text NOT NULL REFERENCES tickets,
    number int NOT NULL,
    pizza text NOT NULL, size text NOT NULL, toppings text[] NOT NULL, note text,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'baking', 'baked', 'failed')),
    load_id text REFERENCES oven_loads,
    part int,
    burns int NOT NULL DEFAULT 0,
    baked_at timestamptz,
    PRIMARY KEY (order_id, number)
)""",
    "CREATE INDEX ticket_pizzas_load ON ticket_pizzas (load_id, part)",
    "CREATE INDEX ticket_pizzas_burnt ON ticket_pizzas (order_id) WHERE state = 'waiting' AND burns > 0",
    # Delivery to the door.
    """
CREATE TABLE drivers (id int PRIMARY KEY, name text NOT NULL, phone text, active boolean NOT NULL DEFAULT true)""",
    """
CREATE TABLE tours (
    order_id text PRIMARY KEY,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'out', 'delivered')),
    fulfilment text NOT NULL,
    driver_id int REFERENCES drivers,
    ready_at timestamptz NOT NULL,
    departed_at timestamptz, due_at timestamptz, delivered_at timestamptz
)""",
    "CREATE INDEX tours_waiting ON tours (ready_at, order_id) WHERE state = 'waiting'",
    "CREATE UNIQUE INDEX tours_out ON tours (driver_id) WHERE state = 'out' AND driver_id IS NOT NULL",
    # Messages to customers.
    """
CREATE TABLE messages (
    key text PRIMARY KEY,
    order_id text NOT NULL,
    customer_id text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('sms', 'email')),
    about text NOT NULL,
    recipient text NOT NULL, subject text, body text NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'sent', 'failed', 'aborted')),
    attempts int NOT NULL,
    answer text,
    created_at timestamptz NOT NULL, sent_at timestamptz
)""",
    "CREATE INDEX messages_order ON messages (order_id)",
    "CREATE INDEX messages_created ON messages (created_at DESC)",
    "CREATE TABLE switches (gateway text PRIMARY KEY, mode text NOT NULL)",
    # Figures.
    """
CREATE TABLE order_metrics (
    order_id text PRIMARY KEY, customer_id text NOT NULL, order_value numeric(12, 2) NOT NULL, item_count int NOT NULL,
    order_time timestamptz NOT NULL, customer_type text NOT NULL CHECK (customer_type IN ('new', 'returning'))
)""",
    """
CREATE TABLE order_outcomes (
    order_id text PRIMARY KEY, outcome text NOT NULL CHECK (outcome IN ('delivered', 'cancelled')),
    reason text, at timestamptz NOT NULL
)""",
    """
CREATE TABLE preparation_metrics (
    order_id text PRIMARY KEY, preparation_time int NOT NULL, efficiency_score numeric(6, 3) NOT NULL,
    ready_at timestamptz NOT NULL
)""",
    *(
        f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,"
        " autovacuum_vacuum_cost_delay = 0)"
        for table in ("orders", "tickets", "ticket_pizzas", "tours", "ingredients", "oven_loads")
    ),
)


def upgrade() -> None:
    """Create the pizzeria's tables."""
    for statement in STATEMENTS:
        op.execute(statement)
