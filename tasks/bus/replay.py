"""Replay: a handler's read model made anew from the log, beside new traffic, with nothing recorded and nothing sent.

The handler's functions run into temporary tables that bear the names of the live ones, for exactly those events that it
has handled: not what is still on its way to it, nor what was parked or discarded. Then, in one transaction, the live
tables are locked against writing, what was handled in the meantime is added, and the rows that differ are mended. So
those who read never wait, the handler waits while tables are compared, and a replay that dies leaves nothing behind.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, NoReturn

from sqlalchemy import Connection, Row, inspect, text
from sqlalchemy.exc import DBAPIError

from domain.kernel.event import Catalogue, Event, Recorded
from domain.kernel.log import COLUMNS, decode
from domain.kernel.unit_of_work import Database, UnitOfWork, is_conflict, take_time
from tasks.bus.registry import Handler
from tasks.bus.retry import spread

BATCH = 1000
_CONFLICTS = 20
_READ_ONLY = "25006"

_WANTED = "e.type = ANY(:types) AND (CAST(:since AS timestamptz) IS NULL OR e.recorded_at >= :since)"
_HANDLED = """NOT EXISTS (SELECT FROM outbox o WHERE o.position = e.position) AND NOT EXISTS (
    SELECT FROM deliveries d WHERE d.position = e.position AND d.handler = :handler AND d.state <> 'done')"""

# The page is cut before anything is asked about its events: a join would look through all deliveries for every page.
_PAGE = text(f"""
SELECT e.*, {_HANDLED} AS handled FROM (
    SELECT {COLUMNS} FROM events e WHERE e.position > :after AND {_WANTED} ORDER BY e.position LIMIT {BATCH}
) e ORDER BY e.position
""")
# What could have been handled since it was passed by: what was left out, and what is as new as the replay. An event may
# be numbered, and so passed by, long before its transaction commits; but none lasts longer than transaction_timeout.
_NEW = text("""
SELECT coalesce(max(position), 0) FROM (
    SELECT position FROM events WHERE recorded_at < now() - interval '80 seconds' ORDER BY position DESC LIMIT 1
) old
""")
_LATER = text(f"""
SELECT {COLUMNS} FROM events e
WHERE e.position IN (SELECT position FROM left_out UNION SELECT position FROM events WHERE position > :new)
    AND {_WANTED} AND {_HANDLED} AND NOT EXISTS (SELECT FROM replayed r WHERE r.position = e.position)
ORDER BY e.position
""")


class ReplayError(Exception):
    """A handler cannot be replayed; the message says why."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How a table differs from what the log makes of it: rows that it lacks, has wrong, or has without an event."""

    table: str
    missing: int
    wrong: int
    extra: int
    examples: Sequence[str]
    """The keys of a few of them."""

    @property
    def rows(self) -> int:
        """How many rows differ."""
        return self.missing + self.wrong + self.extra


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did: the events it ran through, and how each table differed before."""

    events: int
    tables: Sequence[Difference]

    @property
    def differences(self) -> int:
        """How many rows differed."""
        return sum(table.rows for table in self.tables)


def refuse(handler: Handler) -> None:
    """Raise ReplayError for a handler that does more than fill tables."""
    if handler.outside:
        raise ReplayError(f"{handler.name} calls somebody outside: to replay it would be to call again.")
    if not handler.read_model:
        raise ReplayError(f"{handler.name} does more than fill tables from events: to replay it would be to act again.")


def count(connection: Connection, handler: Handler, since: datetime | None) -> int:
    """Count the events that a replay runs through, or a few more: some may be on their way."""
    values = {"types": list(handler.subscriptions), "since": since}
    return int(connection.execute(text(f"SELECT count(*) FROM events e WHERE {_WANTED}"), values).scalar_one())


def replay(
    database: Database,
    catalogue: Catalogue,
    handler: Handler,
    *,
    since: datetime | None = None,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Replayed:
    """Make a handler's read model anew from the events it has handled, and mend the live tables where they differ.

    With ``since``, from the events recorded since then; rows that none of them leads to are left as they are, which is
    right where each row follows from one event. A dry run changes nothing. ``progress`` is told how many events each
    batch had. Raises ReplayError.
    """
    refuse(handler)
    with database.engine.connect() as connection:
        connection.detach()  # it ends with this block, so that nobody else meets its temporary tables
        it = _Replay(connection, database.lock_order, catalogue, handler, since, progress)
        with connection.begin():
            it.set_up()
        it.run_through()
        with connection.begin():
            it.analyze()
        return it.finish(dry_run=dry_run)


class _Rehearsal(UnitOfWork):
    """A unit of work that neither records nor postpones."""

    def record(self, event: Event, because: Event | None = None, *, correlation_id: str | None = None) -> NoReturn:
        raise ReplayError(f"It records {type(event).__name__}: what records events is no read model.")

    def postpone(self, event: Event, until: datetime, *, by_retry: bool = False) -> NoReturn:
        raise ReplayError(f"It postpones {type(event).__name__}: what waits is no read model.")


class _Replay:
    """One replay, on a connection of its own."""

    def __init__(
        self,
        connection: Connection,
        lock_order: Sequence[str],
        catalogue: Catalogue,
        handler: Handler,
        since: datetime | None,
        progress: Callable[[int], None],
    ) -> None:
        self._connection = connection
        self._lock_order = lock_order
        self._catalogue = catalogue
        self._handler = handler
        self._since = since
        self._values: dict[str, Any] = {"types": list(handler.subscriptions), "handler": handler.name, "since": since}
        self._progress = progress
        self._live: dict[str, str] = {}
        self._keys: dict[str, str] = {}

    def set_up(self) -> None:
        """Make an empty temporary table for each live one; it hides the live one from this session."""
        schema = self._connection.execute(text("SELECT current_schema()")).scalar_one()
        for table in self._handler.read_model:
            self._live[table] = f"{schema}.{table}"
            key = inspect(self._connection).get_pk_constraint(table, schema=schema)["constrained_columns"]
            self._keys[table] = ", ".join(key)
            self._run(f"CREATE TEMPORARY TABLE {table} (LIKE {schema}.{table} INCLUDING ALL)")
        for table in ("replayed", "left_out"):
            self._run(f"CREATE TEMPORARY TABLE {table} (position bigint PRIMARY KEY)")
        self._values["new"] = self._connection.execute(_NEW).scalar_one()

    def analyze(self) -> None:
        """Tell the planner how large the temporary tables have become."""
        for table in (*self._live, "replayed", "left_out"):
            self._run(f"ANALYZE pg_temp.{table}")

    def run_through(self) -> None:
        """Run through all that was handled so far, a page of events in a transaction."""
        after = 0
        while True:
            with self._connection.begin():
                page = self._connection.execute(_PAGE, {**self._values, "after": after}).all()
                self._apply([row for row in page if row.handled])
                self._note("left_out", [row for row in page if not row.handled])
            self._progress(len(page))
            if len(page) < BATCH:
                return
            after = page[-1].position

    def finish(self, *, dry_run: bool) -> Replayed:
        """Catch up and compare at one moment of the live tables; mend them, unless this is a dry run."""
        for attempt in range(_CONFLICTS):
            try:
                with self._connection.begin():
                    return self._finish(dry_run)
            except DBAPIError as error:
                if not is_conflict(error) or attempt == _CONFLICTS - 1:
                    raise
                time.sleep(spread(0.1))
        raise AssertionError("unreachable")

    def _finish(self, dry_run: bool) -> Replayed:
        self._run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        take_time(self._connection)
        if not dry_run:  # before the first look: whoever wrote before has committed, whoever comes later waits
            self._run(f"LOCK TABLE {', '.join(self._live.values())} IN SHARE ROW EXCLUSIVE MODE")
        later = self._connection.execute(_LATER, self._values).all()
        for start in range(0, len(later), BATCH):
            self._apply(later[start : start + BATCH])
        found = [self._compare(table) for table in self._live]
        for difference in found:
            if difference.rows and not dry_run:
                self._mend(difference.table)
        events = self._connection.execute(text("SELECT count(*) FROM replayed")).scalar_one()
        return Replayed(events, found)

    def _apply(self, rows: Sequence[Row[Any]]) -> None:
        decoded = decode(self._connection, self._catalogue, rows, personal=self._handler.personal)
        events = [self._readable(event) for event in decoded]
        try:
            with self._connection.begin_nested():
                self._run("SET TRANSACTION READ ONLY")  # which temporary tables are exempt from
                for name, batch in groupby(sorted(events, key=_type_of), key=_type_of):
                    self._handle(name, list(batch))
                self._note("replayed", rows)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _READ_ONLY:
                raise
            tables = ", ".join(self._live)
            raise ReplayError(f"{self._handler.name} writes to more than {tables}: it is no read model.") from error

    def _note(self, table: str, rows: Sequence[Row[Any]]) -> None:
        self._run(f"INSERT INTO {table} SELECT unnest(CAST(:these AS bigint[]))", these=[row.position for row in rows])

    def _handle(self, name: str, batch: Sequence[Recorded[Event]]) -> None:
        work = _Rehearsal(self._connection, self._lock_order, correlation_id="replay", causes=batch)
        self._handler.subscriptions[name].function([event.event for event in batch], work)

    def _readable(self, event: Recorded[Event] | Exception) -> Recorded[Event]:
        if isinstance(event, Exception):
            raise ReplayError(f"An event cannot be read, so nothing was changed: {event}")
        return event

    def _compare(self, table: str) -> Difference:
        key = self._keys[table]
        which = "LEFT" if self._since else "FULL"
        row = self._run(
            "SELECT count(*) FILTER (WHERE live IS NULL) AS missing, count(*) FILTER (WHERE rebuilt IS NULL) AS extra,"
            f" count(*) AS every, (array_agg(concat_ws(' ', {key}) ORDER BY {key}))[1:5] AS examples"
            f" FROM pg_temp.{table} rebuilt {which} JOIN {self._live[table]} live USING ({key})"
            " WHERE rebuilt IS DISTINCT FROM live"
        ).one()
        return Difference(table, row.missing, row.every - row.missing - row.extra, row.extra, tuple(row.examples or ()))

    def _mend(self, table: str) -> None:
        live, key = self._live[table], self._keys[table]
        on = " AND ".join(f"rebuilt.{column} = live.{column}" for column in key.split(", "))
        if self._since:
            self._run(
                f"DELETE FROM {live} live USING pg_temp.{table} rebuilt WHERE {on} AND rebuilt IS DISTINCT FROM live"
            )
        else:
            self._run(
                f"DELETE FROM {live} live WHERE NOT EXISTS ("
                f" SELECT FROM pg_temp.{table} rebuilt WHERE {on} AND rebuilt IS NOT DISTINCT FROM live)"
            )
        self._run(f"INSERT INTO {live} SELECT * FROM pg_temp.{table} ON CONFLICT DO NOTHING")

    def _run(self, sql: str, **values: Any) -> Any:
        return self._connection.execute(text(sql), values)


def _type_of(event: Recorded[Event]) -> str:
    return type(event.event).__name__
