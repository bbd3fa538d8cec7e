"""The event log: append-only, numbered without gaps in each stream, read back as events of the present version."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, TextClause, text

from domain.kernel.event import Catalogue, Event, Recorded
from domain.kernel.personal import Keys, decrypt, encrypt, make_keys, read_keys

# An event of a process goes on with its stream's correlation; any other takes that of what caused it. What has no other
# cause follows from the event before it in its stream.
_APPEND = """
incoming AS (
    SELECT * FROM ROWS FROM (json_to_recordset(CAST(:pending AS json)) AS (
        id uuid, type text, version int, stream text, data jsonb, correlation_id text, causation_id uuid,
        continues boolean
    )) WITH ORDINALITY AS i (id, type, version, stream, data, correlation_id, causation_id, continues, n)
), appended AS (
    INSERT INTO events (id, type, version, stream, sequence, data, correlation_id, causation_id)
    SELECT i.id, i.type, i.version, i.stream,
        coalesce(last.sequence, 0) + row_number() OVER (PARTITION BY i.stream ORDER BY i.n), i.data,
        CASE WHEN i.continues THEN coalesce(last.correlation_id, i.correlation_id) ELSE i.correlation_id END,
        coalesce(i.causation_id, last.id)
    FROM incoming i
    LEFT JOIN LATERAL (
        SELECT e.id, e.sequence, e.correlation_id FROM events e
        WHERE e.stream = i.stream ORDER BY e.sequence DESC LIMIT 1
    ) last ON true
    ORDER BY i.n
    RETURNING position
)
INSERT INTO outbox (position) SELECT position FROM appended
"""

COLUMNS = """e.position, e.id, e.type, e.version, e.stream, e.sequence, e.data::text AS data,
    e.correlation_id, e.causation_id, e.recorded_at"""
"""What ``decode`` wants of a row of ``events e``."""

Rows = Sequence[Mapping[str, Any]]


class Pending(msgspec.Struct, frozen=True):
    """An event about to be appended."""

    event: Event
    id: UUID
    correlation_id: str
    causation_id: UUID | None


def insertion(table: str, columns: str, rows: str) -> str:
    """Give SQL that inserts the rows of a JSON document, which the parameter ``rows`` holds."""
    source = f"json_populate_recordset(CAST(NULL AS {table}), CAST(:{rows} AS json))"
    return f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {source}"


def append(
    connection: Connection, pending: Sequence[Pending], known: Mapping[str, bytes], rows: Mapping[str, Rows]
) -> None:
    """Append events to their streams and hand them to the outbox, and insert new rows of tables, in one statement.

    ``known`` are keys that need not be read or made; all rows of a table have the same columns.

    Whoever appends to a stream must hold the lock of the row that the stream is about; a race that breaks this rule
    ends in a unique violation, never in a gap.
    """
    if not pending and not rows:
        return
    keys = make_keys(connection, {_person(p.event) for p in pending if p.event.personal}, known)
    # JSON documents: an array of texts would be escaped by the driver character by character.
    documents = {"pending": [_row(p, keys) for p in pending], **rows}
    connection.execute(
        _statement(*((table, ", ".join(rows[table][0])) for table in rows)),
        {name: msgspec.json.encode(document).decode() for name, document in documents.items()},
    )


@cache
def _statement(*tables: tuple[str, str]) -> TextClause:
    """Give the statement that appends events and inserts rows of these tables, each with its columns."""
    inserts = (f"new_{table} AS ({insertion(table, columns, table)})" for table, columns in tables)
    return text("WITH " + ", ".join([*inserts, _APPEND]))


def _row(pending: Pending, keys: Keys) -> dict[str, Any]:
    return {
        "id": pending.id,
        "type": type(pending.event).__name__,
        "version": pending.event.version,
        "stream": pending.event.stream_name,
        "data": _sealed(pending.event, keys),
        "correlation_id": pending.correlation_id,
        "causation_id": pending.causation_id,
        "continues": pending.event.continues,
    }


def _sealed(event: Event, keys: Keys) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(event)
    if event.personal:
        key = keys[_person(event)]
        for field in event.personal:
            if data[field] is not None:
                data[field] = encrypt(data[field], key)
    return data


def decode(
    connection: Connection, catalogue: Catalogue, rows: Sequence[Row[Any]], *, personal: bool = True
) -> list[Recorded[Event] | Exception]:
    """Make events of rows that hold COLUMNS; an exception stands in the place of one that cannot be read.

    Without ``personal``, every personal field is None.
    """
    sealed = [_decode(catalogue, row) for row in rows]
    keys = (
        read_keys(connection, {_person(e) for e in sealed if isinstance(e, Event) and e.personal}) if personal else {}
    )
    return [_recorded(row, event, keys) for row, event in zip(rows, sealed, strict=True)]


def _decode(catalogue: Catalogue, row: Row[Any]) -> Event | Exception:
    try:
        return catalogue.decode(row.type, row.version, row.data)
    except Exception as unreadable:  # what an upcaster raises, too: the event's trouble, not its batch's
        return unreadable


def _recorded(row: Row[Any], event: Event | Exception, keys: Keys) -> Recorded[Event] | Exception:
    if isinstance(event, Exception):
        return event
    if event.personal:
        key = keys.get(_person(event))
        try:
            plain = {field: decrypt(getattr(event, field), key) for field in event.personal}
        except Exception as damaged:
            return damaged
        event = msgspec.structs.replace(event, **plain)
    return Recorded(
        event,
        row.position,
        row.id,
        row.sequence,
        row.correlation_id,
        row.causation_id,
        row.recorded_at,
    )


def _person(event: Event) -> str:
    return str(getattr(event, event.person))


def read_streams(
    connection: Connection, catalogue: Catalogue, streams: Sequence[str]
) -> dict[str, list[Recorded[Event] | Exception]]:
    """Give the events of each of several streams in their order; an exception stands for one that cannot be read."""
    rows = connection.execute(
        text(f"SELECT {COLUMNS} FROM events e WHERE e.stream = ANY(:streams) ORDER BY e.stream, e.sequence"),
        {"streams": list(streams)},
    ).all()
    found: dict[str, list[Recorded[Event] | Exception]] = {}
    for row, event in zip(rows, decode(connection, catalogue, rows), strict=True):
        found.setdefault(row.stream, []).append(event)
    return found
