"""A long past for a pizzeria: some real orders, delivered by the real handlers, whose every row is copied many times.

A copy has ids and telephone numbers of its own, positions of its own in the log, and lies minutes further back. So
every table, index and column is filled as it would be, whatever columns there are by then.
"""

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import Connection, Engine, text

from bench.contest import place_backlog
from bench.stage import Say, Stage

SAMPLE = 100
"""Real orders; a past is copies of these, so its length is a multiple of it."""
AT_ONCE = 50
"""Copies made in one transaction."""

# Table → those of its rows that belong to orders.
_TABLES = {
    "customers": "true",
    "personal_keys": "true",
    "orders": "true",
    "reservations": "true",
    "stock_movements": "order_id IS NOT NULL",
    "tickets": "true",
    "oven_loads": "true",
    "ticket_pizzas": "true",
    "tours": "true",
    "messages": "true",
    "order_metrics": "true",
    "order_outcomes": "true",
    "preparation_metrics": "true",
    "sales_lines": "true",
    "loyalty_balances": "true",
    "loyalty_entries": "true",
    "events": "true",
    "deliveries": "true",
}
_IDS = frozenset({"id", "order_id", "customer_id", "load_id", "person", "idempotency_key", "correlation_id"})
# Copy number k of a column, where it is not the same in every copy.
_COPIED = {
    "position": "position + k * CAST(:span AS bigint)",
    "key": "CAST(md5(split_part(key, ':', 1) || '/' || k) AS uuid) || ':' || split_part(key, ':', 2)",  # event:handler
    "about": "CASE WHEN length(about) = 40 THEN bench_id(about, k) ELSE about END",  # an order, or a kind of message
    "phone": "phone || '-' || k",
    "stream": "split_part(stream, '-', 1) || '-' || bench_id(substr(stream, strpos(stream, '-') + 1), k)",
    "data": "(SELECT jsonb_object_agg(name, CASE"
    " WHEN name IN ('order_id', 'customer_id', 'load_id') THEN to_jsonb(bench_id(value #>> '{}', k))"
    " WHEN value #>> '{}' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T'"
    " THEN to_jsonb(CAST(value #>> '{}' AS timestamptz) - k * interval '10 minutes') ELSE value END)"
    " FROM jsonb_each(data) AS f (name, value))",
}
# An order's id begins with its time, so that the old ones lie where they would.
_ID = text("""
CREATE FUNCTION bench_id(id text, k int) RETURNS text IMMUTABLE LANGUAGE sql RETURN
    CASE WHEN length(id) = 40 THEN to_hex(CAST(CAST('x' || left(id, 8) AS bit(32)) AS int) - k * 600) ELSE '' END
    || md5(id || '/' || k)
""")
_COLUMNS = text("""
SELECT column_name AS name, data_type AS type FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = :table AND (is_identity = 'NO' OR column_name = 'position')
ORDER BY ordinal_position
""")


def fill(here: Stage, orders: int, say: Say) -> None:
    """Give the pizzeria so many delivered orders, rounded up to whole copies of the sample."""
    say(f"Filling in {orders:,} old orders")
    place_backlog(here, "ours", SAMPLE)
    sample = here.python("sample", "bench.growth.sample")
    here.once(replace(sample, env={**sample.env, "PIZZERIA_BUS": "memory"}))
    copy(here.engine, -(-orders // SAMPLE) - 1)
    with here.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("VACUUM (ANALYZE)"))
        connection.execute(text("CHECKPOINT"))


def copy(engine: Engine, copies: int) -> None:
    """Copy every row of the orders that there are so many times."""
    with engine.begin() as connection:
        span = connection.execute(text("SELECT max(position) FROM events")).scalar_one()
        connection.execute(_ID)
        statements = [_statement(connection, table, rows) for table, rows in _TABLES.items()]
    for first in range(1, copies + 1, AT_ONCE):
        with engine.begin() as connection:
            # What is copied is sound: neither references nor triggers need to look at it again, nor the disk at once.
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text("SET LOCAL synchronous_commit = off"))
            values = {"first": first, "last": min(copies, first + AT_ONCE - 1), "span": span}
            for statement in statements:
                connection.execute(text(statement), values)
    with engine.begin() as connection:
        connection.execute(
            text("SELECT setval(pg_get_serial_sequence('events', 'position'), (SELECT max(position) FROM events))")
        )
        connection.execute(  # the ledger's movements sum to what is there
            text(
                "UPDATE ingredients i SET quantity = m.quantity FROM (SELECT ingredient_id, sum(quantity) AS quantity"
                " FROM stock_movements GROUP BY ingredient_id) m WHERE m.ingredient_id = i.id"
            )
        )


def _statement(connection: Connection, table: str, rows: str) -> str:
    """Keep the sample's rows of a table, and give the statement that copies them."""
    connection.execute(text(f"CREATE TABLE bench_{table} AS SELECT * FROM {table} WHERE {rows}"))
    columns = dict(_columns(connection, table))
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE SELECT {', '.join(columns.values())}"
        f" FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS k CROSS JOIN bench_{table} ORDER BY k"
    )


def _columns(connection: Connection, table: str) -> Iterator[tuple[str, str]]:
    """Give each column, and what it is in copy number k."""
    for column in connection.execute(_COLUMNS, {"table": table}):
        name = column.name
        if column.type == "uuid":
            yield name, f"CAST(md5({name} || '/' || k) AS uuid)"
        elif column.type == "timestamp with time zone":
            yield name, f"{name} - k * interval '10 minutes'"
        elif name in _IDS and column.type == "text":
            yield name, f"bench_id({name}, k)"
        else:
            yield name, name if column.type == "bytea" else _COPIED.get(name, name)


def hold_back(here: Stage, handler: str, deliveries: int) -> None:
    """Have so many old deliveries of a handler wait again."""
    with here.engine.begin() as connection:
        changed = connection.execute(
            text(
                "UPDATE deliveries SET state = 'pending', dispatched_at = NULL, started_at = NULL, done_at = NULL,"
                " sends = 0 WHERE handler = :handler AND position IN (SELECT position FROM deliveries"
                " WHERE handler = :handler AND state = 'done' ORDER BY position DESC LIMIT :number)"
            ),
            {"handler": handler, "number": deliveries},
        )
        if changed.rowcount != deliveries:
            raise SystemExit(f"There are only {changed.rowcount} deliveries of {handler} to hold back.")
    with here.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("VACUUM (ANALYZE) deliveries"))
