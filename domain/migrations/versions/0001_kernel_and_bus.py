"""Events, their outbox, and the ledger of deliveries."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
CREATE TABLE events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    type text NOT NULL,
    version int NOT NULL CHECK (version > 0),
    stream text NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    data jsonb NOT NULL,
    correlation_id text NOT NULL,
    causation_id uuid,
    traceparent text,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (stream, sequence)
)""",
    "CREATE INDEX events_correlation ON events (correlation_id)",
    """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: the log is append-only', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$""",
    """
CREATE TRIGGER events_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    "CREATE TABLE personal_keys (person text PRIMARY KEY, key bytea NOT NULL)",
    "CREATE TABLE outbox (position bigint PRIMARY KEY REFERENCES events)",
    "CREATE TABLE subscriptions (event_type text, handler text, PRIMARY KEY (event_type, handler))",
    """
CREATE TABLE deliveries (
    position bigint NOT NULL REFERENCES events,
    handler text NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'parked', 'discarded')),
    not_before timestamptz NOT NULL DEFAULT now(),
    dispatched_at timestamptz,
    sends int NOT NULL DEFAULT 0,
    starts int NOT NULL DEFAULT 0,
    attempts int NOT NULL DEFAULT 0,
    alone boolean NOT NULL DEFAULT false,
    claim uuid,
    claimed_until timestamptz,
    started_at timestamptz,
    done_at timestamptz,
    error text,
    result jsonb,
    PRIMARY KEY (position, handler)
)""",
    "COMMENT ON COLUMN deliveries.sends IS 'messages sent for it since it was last answered'",
    "COMMENT ON COLUMN deliveries.starts IS 'times it was started again without an answer'",
    "COMMENT ON COLUMN deliveries.attempts IS 'failures counted by the retry policy'",
    "COMMENT ON COLUMN deliveries.alone IS 'not to share a message with others'",
    """
CREATE INDEX deliveries_due ON deliveries (handler, not_before, position)
WHERE state = 'pending' AND dispatched_at IS NULL""",
    """
CREATE INDEX deliveries_sent ON deliveries (handler, dispatched_at)
WHERE state = 'pending' AND dispatched_at IS NOT NULL""",
    "CREATE INDEX deliveries_done ON deliveries (handler, dispatched_at) WHERE state = 'done'",
    "CREATE INDEX deliveries_parked ON deliveries (handler, position) WHERE state = 'parked'",
    """
CREATE TABLE paces (
    handler text PRIMARY KEY,
    seconds_per_event double precision NOT NULL,
    measured_at timestamptz NOT NULL DEFAULT now()
)""",
    *(
        f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = {threshold},"
        " autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_insert_scale_factor = 0.2)"
        for table, threshold in (("outbox", 2000), ("deliveries", 20000), ("paces", 1000))
    ),
)


def upgrade() -> None:
    """Create the tables that know no pizza."""
    for statement in STATEMENTS:
        op.execute(statement)
