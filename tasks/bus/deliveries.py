"""The ledger of deliveries: one row for each event and handler. Every statement that changes one stands here."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, text

from domain.kernel.log import COLUMNS

MAX_STARTS = 5
"""A delivery started so often without an answer is poison, and parked."""
CLAIM_SECONDS = 35
"""How long calls to the outside belong to the worker that claimed them; longer than any task may take."""

POISON = f"Started {MAX_STARTS} times without an answer: it kills its worker, or never ends."
UNWANTED = "nobody wants it any more"

# A message that comes early (a duplicate of one to be tried later) is left alone; a second covers clocks that differ.
_LOCK = text(f"""
SELECT d.sends, d.starts, d.attempts, {COLUMNS}
FROM deliveries d JOIN events e ON e.position = d.position
WHERE d.handler = :handler AND d.position = ANY(CAST(:positions AS bigint[])) AND d.state = 'pending'
    AND d.not_before <= now() + interval '1 second'
    AND (d.claimed_until IS NULL OR d.claimed_until < now())
ORDER BY d.position FOR UPDATE OF d SKIP LOCKED
""")


def lock(connection: Connection, handler: str, positions: Sequence[int]) -> Sequence[Row[Any]]:
    """Lock those of the deliveries that are to be done and that nobody else is doing, with their events."""
    return connection.execute(_LOCK, {"handler": handler, "positions": _array(positions)}).all()


def _array(positions: Iterable[int]) -> str:
    """Write an array as PostgreSQL reads it; the driver would take ten times as long for a long one."""
    return "{" + ",".join(map(str, positions)) + "}"


def _run(connection: Connection, sql: str, handler: str, positions: Sequence[int], **values: Any) -> None:
    if positions:
        connection.execute(text(sql), {"handler": handler, "positions": _array(positions), **values})


_THESE = " WHERE handler = :handler AND position = ANY(CAST(:positions AS bigint[])) AND state = 'pending'"


def count_start(connection: Connection, handler: str, positions: Sequence[int]) -> list[int]:
    """Count one more start of deliveries that were started before without an answer; parks poison, and gives it."""
    if not positions:
        return []
    _run(connection, "UPDATE deliveries SET starts = starts + 1, alone = true" + _THESE, handler, positions)
    poison = connection.execute(
        text(
            "UPDATE deliveries SET state = 'parked', error = :error, done_at = now(), claim = NULL,"
            " claimed_until = NULL" + _THESE + " AND starts >= :limit RETURNING position"
        ),
        {"handler": handler, "positions": _array(positions), "error": POISON, "limit": MAX_STARTS},
    )
    return list(poison.scalars().all())


def take_apart(connection: Connection, handler: str, positions: Sequence[int]) -> None:
    """Have the deliveries of one message sent again, each alone, with their starts as they were counted."""
    _run(
        connection,
        "UPDATE deliveries SET not_before = now(), dispatched_at = NULL, alone = true" + _THESE,
        handler,
        positions,
    )


def claim(connection: Connection, handler: str, positions: Sequence[int], token: UUID) -> None:
    """Make these deliveries one worker's own for CLAIM_SECONDS by the database's clock."""
    _run(
        connection,
        "UPDATE deliveries SET claim = :token, claimed_until = now() + make_interval(secs => :seconds),"
        " started_at = now()" + _THESE,
        handler,
        positions,
        token=token,
        seconds=CLAIM_SECONDS,
    )


def held(connection: Connection, handler: str, positions: Sequence[int], token: UUID) -> set[int]:
    """Lock those of the deliveries that are still this claim's own."""
    if not positions:
        return set()
    rows = connection.execute(
        text("SELECT position FROM deliveries" + _THESE + " AND claim = :token ORDER BY position FOR UPDATE"),
        {"handler": handler, "positions": _array(positions), "token": token},
    )
    return set(rows.scalars().all())


def done(connection: Connection, handler: str, positions: Sequence[int]) -> None:
    """End deliveries whose effects commit in this transaction."""
    _run(
        connection,
        "UPDATE deliveries SET state = 'done', started_at = now(), done_at = clock_timestamp(), error = NULL" + _THESE,
        handler,
        positions,
    )


def unwanted(connection: Connection, handler: str) -> None:
    """End whatever still waits for a handler, whoever is about to do it: nobody wants it any more."""
    connection.execute(
        text(
            "UPDATE deliveries d SET state = 'done', started_at = coalesce(d.started_at, now()),"
            " done_at = clock_timestamp(), error = NULL, claim = NULL, claimed_until = NULL,"
            " result = to_jsonb(CAST(:why AS text))"
            " FROM (SELECT position FROM deliveries WHERE handler = :handler AND state = 'pending'"
            "  ORDER BY position FOR UPDATE) w"
            " WHERE d.position = w.position AND d.handler = :handler"
        ),
        {"handler": handler, "why": UNWANTED},
    )


def answered(connection: Connection, handler: str, results: Mapping[int, Any], token: UUID) -> set[int]:
    """End deliveries that were answered from outside, each with its answer; gives those that are this claim's own."""
    if not results:
        return set()
    rows = connection.execute(
        text(
            "UPDATE deliveries d SET state = 'done', done_at = clock_timestamp(), error = NULL, claim = NULL,"
            " claimed_until = NULL, result = r.result"
            " FROM json_to_recordset(CAST(:results AS json)) AS r (position bigint, result jsonb)"
            " WHERE d.position = r.position AND d.handler = :handler"
            " AND d.position = ANY(CAST(:positions AS bigint[])) AND d.state = 'pending' AND d.claim = :token"
            " RETURNING d.position"
        ),
        {
            "handler": handler,
            "positions": _array(results),
            "token": token,
            "results": msgspec.json.encode(
                [{"position": position, "result": result} for position, result in results.items()]
            ).decode(),
        },
    )
    return set(rows.scalars().all())


def due_again(
    connection: Connection,
    handler: str,
    positions: Sequence[int],
    *,
    seconds: float = 0,
    alone: bool = False,
    failure: str | None = None,
    in_broker: bool = False,
    claim: UUID | None = None,
) -> None:
    """Have deliveries done later: in so many seconds, ``alone`` in their message; with a claim, only its own.

    With ``failure``, that is a failed attempt and is counted. ``in_broker`` says that a message which will come by then
    is with the broker already; otherwise the relay sends one.
    """
    _run(
        connection,
        "UPDATE deliveries SET not_before = now() + make_interval(secs => :seconds),"
        " dispatched_at = CASE WHEN :in_broker THEN now() END, sends = CASE WHEN :in_broker THEN 1 ELSE 0 END,"
        " starts = 0, claim = NULL, claimed_until = NULL, alone = alone OR :alone,"
        " attempts = attempts + CASE WHEN CAST(:failure AS text) IS NULL THEN 0 ELSE 1 END,"
        " error = coalesce(:failure, error)" + _THESE + " AND (CAST(:claim AS uuid) IS NULL OR claim = :claim)",
        handler,
        positions,
        claim=claim,
        seconds=seconds,
        alone=alone,
        failure=failure,
        in_broker=in_broker,
    )


def park(connection: Connection, handler: str, positions: Sequence[int], error: str) -> None:
    """Give deliveries up until somebody looks: a dead letter, with its error."""
    _run(
        connection,
        "UPDATE deliveries SET state = 'parked', attempts = attempts + 1, error = :error, done_at = now(),"
        " claim = NULL, claimed_until = NULL" + _THESE,
        handler,
        positions,
        error=error,
    )


def note_pace(connection: Connection, handler: str, seconds: float) -> None:
    """Note how long the handler took for an event just now; the relay sizes messages by it."""
    connection.execute(
        text(
            "INSERT INTO paces (handler, seconds_per_event) VALUES (:handler, :seconds)"
            " ON CONFLICT (handler) DO UPDATE SET measured_at = now(),"
            " seconds_per_event = (paces.seconds_per_event + excluded.seconds_per_event) / 2"
        ),
        {"handler": handler, "seconds": seconds},
    )
