"""Which handler gets which event, as rows: written whole by `pizzeria migrate`, read by the relay."""

import msgspec
from sqlalchemy import Connection, text

from tasks.bus import deliveries
from tasks.bus.registry import Registry

# Whoever writes asks the database what is wanted, and must not miss what another is just writing. Readers do not wait.
_ALONE = text("LOCK TABLE subscriptions IN SHARE ROW EXCLUSIVE MODE")
_GIVEN = """json_to_recordset(CAST(:rows AS json)) AS s (event_type text, handler text, condition jsonb)"""
_WRITE = text(f"""
INSERT INTO subscriptions (event_type, handler, condition) SELECT event_type, handler, condition FROM {_GIVEN}
ON CONFLICT (event_type, handler) DO UPDATE SET condition = excluded.condition, since = now()
WHERE subscriptions.condition <> excluded.condition
""")
_FORGET = text(f"""
DELETE FROM subscriptions WHERE (event_type, handler) NOT IN (SELECT event_type, handler FROM {_GIVEN})
    AND (CAST(:only AS text) IS NULL OR handler = :only)
RETURNING handler
""")


def write(connection: Connection, registry: Registry, only: str | None = None) -> list[str]:
    """Make the table say what the registry says, of those handlers that are wanted.

    Gives those that got events until now and that the settings use no more: what still waits for them will be parked.
    What waits for one that the database does not want any more is done.

    With ``only`` it says so of one handler, and of the others what it said: whether those are in use is for the
    settings of whoever migrates, and not of every shell.
    """
    connection.execute(_ALONE)
    one = registry if only is None else Registry({only: registry.handlers[only]})
    rows = [
        {"event_type": event, "handler": handler, "condition": subscription.where}
        for event, handler, subscription in one.subscriptions(connection)
    ]
    values = {"rows": msgspec.json.encode(rows).decode(), "only": only}
    connection.execute(_WRITE, values)
    ended = set(connection.execute(_FORGET, values).scalars()) - {row["handler"] for row in rows}
    unwanted = ended.intersection(one.in_use)
    for handler in sorted(unwanted):
        deliveries.unwanted(connection, handler)
    return sorted(ended - unwanted)
