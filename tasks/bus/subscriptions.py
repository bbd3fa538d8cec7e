"""Which handler gets which event, as rows: written whole by `pizzeria migrate`, read by the relay."""

from sqlalchemy import Connection, text

from tasks.bus.registry import Registry


def write(connection: Connection, registry: Registry) -> None:
    """Make the table say what the registry says, of those handlers that are wanted."""
    pairs = registry.subscriptions(connection)
    values = {"events": [event for event, _ in pairs], "handlers": [handler for _, handler in pairs]}
    given = "unnest(CAST(:events AS text[]), CAST(:handlers AS text[])) AS s (event_type, handler)"
    connection.execute(
        text(f"INSERT INTO subscriptions SELECT * FROM {given} ON CONFLICT DO NOTHING"),
        values,
    )
    connection.execute(
        text(f"DELETE FROM subscriptions WHERE (event_type, handler) NOT IN (SELECT * FROM {given})"),
        values,
    )
