"""Which handler gets which event, as rows: written whole by `pizzeria migrate`, read by the relay."""

import msgspec
from sqlalchemy import Connection, text

from tasks.bus.registry import Registry

_GIVEN = """json_to_recordset(CAST(:rows AS json)) AS s (event_type text, handler text, condition jsonb)"""
_WRITE = text(f"""
INSERT INTO subscriptions (event_type, handler, condition) SELECT event_type, handler, condition FROM {_GIVEN}
ON CONFLICT (event_type, handler) DO UPDATE SET condition = excluded.condition, since = now()
WHERE subscriptions.condition <> excluded.condition
""")
_FORGET = text(f"""
DELETE FROM subscriptions WHERE (event_type, handler) NOT IN (SELECT event_type, handler FROM {_GIVEN})
""")


def write(connection: Connection, registry: Registry) -> None:
    """Make the table say what the registry says, of those handlers that are wanted."""
    rows = [
        {"event_type": event, "handler": handler, "condition": subscription.where}
        for event, handler, subscription in registry.subscriptions(connection)
    ]
    values = {"rows": msgspec.json.encode(rows).decode()}
    connection.execute(_WRITE, values)
    connection.execute(_FORGET, values)
