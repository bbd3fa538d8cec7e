"""The unit of work: one transaction, the locks it takes, and the events that it records."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import structlog
import uuid_utils.compat
from sqlalchemy import Connection, CursorResult, Engine, create_engine, make_url, text
from sqlalchemy.event import listen
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from domain.kernel import log
from domain.kernel.event import Event, Recorded
from domain.kernel.personal import new_key

_logger = structlog.get_logger(__name__)

# A frozen or vanished process must free its locks by itself: transaction_timeout exists from PostgreSQL 17 on.
# Plans are kept. One that was made while its table was small must do when it is large, so none may read a table whole:
# see docs/decisions/0018.
_SESSION = (
    "-c timezone=UTC -c enable_seqscan=off -c jit=off -c idle_in_transaction_session_timeout=15s"
    " -c transaction_timeout=35s"
)
LOCK_SECONDS = 5.0
"""For so long a statement waits for another transaction, unless it is told otherwise."""
# 100,000 orders are more than the time and the memory that a handler's transaction is meant for.
_LONG_READ = {
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "work_mem": "128MB",
    "enable_seqscan": "on",
    "plan_cache_mode": "force_custom_plan",
}
FRESH_SECONDS = 1.0
"""For so long after its use a connection is taken to be alive."""
_CONFLICTS = frozenset({"40001", "40P01", "55P03"})  # serialization failure, deadlock, lock not available
_DUPLICATE = "23505"  # unique violation


class LockOrderError(Exception):
    """Code locks tables in another order than the declared one; two of its kind could deadlock."""


class UnitOfWork:
    """One transaction: its effects and the events it records commit together or not at all."""

    def __init__(
        self,
        connection: Connection,
        lock_order: Sequence[str],
        *,
        correlation_id: str,
        causes: Sequence[Recorded[Event]] = (),
    ) -> None:
        self.connection = connection
        self.postponed: dict[int, datetime] = {}
        self.by_retry: set[int] = set()
        self.after_commit: list[Callable[[], None]] = []
        self._lock_order = lock_order
        self._locked = -1
        self._correlation_id = correlation_id
        self._causes = causes
        self._cause_of = {cause.event.identity: cause for cause in causes}
        self._recorded = {id(cause.event): cause for cause in causes}
        self._pending: list[log.Pending] = []
        self._rows: dict[str, list[Mapping[str, Any]]] = {}
        self._keys: dict[str, bytes] = {}

    def run(self, sql: str, **values: Any) -> CursorResult[Any]:
        """Run one SQL statement with named values."""
        return self.connection.execute(text(sql), values)

    def column(self, sql: str, **values: Any) -> list[Any]:
        """Run one SQL statement and give the first column of every row."""
        return list(self.run(sql, **values).scalars().all())

    def insert(
        self,
        table: str,
        rows: Sequence[Mapping[str, Any]],
        on_conflict: str = "DO NOTHING",
        *,
        returning: str | None = None,
    ) -> Sequence[Any]:
        """Insert rows, all with the same columns, in one statement; gives the column ``returning`` of those written."""
        if not rows:
            return []
        columns = ", ".join(rows[0])
        found = self.run(
            f"{log.insertion(table, columns, 'rows')} ON CONFLICT {on_conflict}"
            + (f" RETURNING {returning}" if returning else ""),
            rows=msgspec.json.encode(rows).decode(),
        )
        return found.scalars().all() if returning else []

    def add(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Have new rows inserted at the end, all with the same columns, in the statement that appends the events.

        Until then nobody sees them, this work neither. Where one is there already, the work fails (``is_duplicate``).
        """
        if rows:
            self._rows.setdefault(table, []).extend(rows)

    def add_key(self, person: str) -> None:
        """Make the key of somebody who is new, and cannot have one yet; it is kept as ``add`` keeps rows."""
        key = new_key()
        self.knows_key(person, key)
        self.add("personal_keys", [{"person": person, "key": f"\\x{key.hex()}"}])

    def knows_key(self, person: str, key: bytes) -> None:
        """Take the key of somebody, found with something else, so that it need not be looked for."""
        self._keys[person] = key

    def locks(self, table: str) -> None:
        """Announce that the next statement locks rows of this table, all that will be changed, sorted by key.

        Raises LockOrderError when a table that comes later, or this one, was locked before.
        """
        rank = self._lock_order.index(table)
        if rank <= self._locked:
            held = self._lock_order[self._locked]
            raise LockOrderError(f"{table} must be locked before {held}: lock everything first, in the declared order.")
        self._locked = rank

    def record(self, event: Event, because: Event | None = None, *, correlation_id: str | None = None) -> UUID:
        """Record what happened; it is appended to its stream, and delivered, if the transaction commits.

        Its cause is the event of the batch named by ``because``, else the one about the same thing, else the last. What
        has no cause bears ``correlation_id``, or the work's own.
        """
        if because is not None:
            cause: Recorded[Event] | None = self._recorded[id(because)]
        else:
            cause = self._cause_of.get(event.identity) or (self._causes[-1] if self._causes else None)
        pending = log.Pending(
            event,
            uuid_utils.compat.uuid7(),
            cause.correlation_id if cause else correlation_id or self._correlation_id,
            cause.id if cause else None,
        )
        self._pending.append(pending)
        return pending.id

    def postpone(self, event: Event, until: datetime, *, by_retry: bool = False) -> None:
        """Ask for an event to be delivered here again, not before a time. This is no failure and is not counted.

        ``by_retry`` leaves its message with the broker meanwhile (Celery's retry), if the wait is short and the message
        is this event's alone; otherwise, a durable timer, the relay sends a new one together with others then due.
        """
        position = self._recorded[id(event)].position
        self.postponed[position] = until
        if by_retry:
            self.by_retry.add(position)

    def flush(self) -> None:
        """Insert what was added and append what was recorded; called once, after all effects."""
        log.append(self.connection, self._pending, self._keys, self._rows)
        self._pending.clear()
        self._rows.clear()


class Database:
    """The pizzeria's PostgreSQL."""

    def __init__(
        self,
        url: str,
        lock_order: Sequence[str],
        *,
        connections: int = 5,
        ping: bool = True,
        lock_seconds: float = LOCK_SECONDS,
    ) -> None:
        """Prepare a pool of so many connections; none is opened yet.

        ``ping`` asks a connection that has rested whether it is alive; who tries again after a loss need not. For
        ``lock_seconds`` a statement waits for another transaction; then it fails with what ``is_conflict`` knows.
        """
        self.lock_order = lock_order
        self.engine: Engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            pool_size=connections,
            max_overflow=connections,
            pool_timeout=5,
            hide_parameters=True,  # an error's text must hold nothing personal
            json_deserializer=msgspec.json.decode,
            connect_args={
                "options": f"{_SESSION} -c lock_timeout={round(lock_seconds * 1000)}",
                "connect_timeout": 5,
                "tcp_user_timeout": 10_000,
                "keepalives_idle": 10,
                "application_name": "pizzeria",
            },
        )
        if ping:
            _ping_what_rested(self.engine)
        self.reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    def unit_of_work(self, connection: Connection, *, causes: Sequence[Recorded[Event]]) -> UnitOfWork:
        """Give a unit of work whose caller flushes and commits; what it records was caused by these events."""
        return UnitOfWork(connection, self.lock_order, correlation_id=causes[0].correlation_id, causes=causes)

    @contextmanager
    def begin(self, correlation_id: str) -> Iterator[UnitOfWork]:
        """Run one unit of work; commits at the end of the block, rolls back when it raises."""
        with self.engine.begin() as connection:
            work = UnitOfWork(connection, self.lock_order, correlation_id=correlation_id)
            yield work
            work.flush()
        run_after_commit(work)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for reading, of which each statement is by itself.

        A transaction around it would cost two trips more, and its rollback every statement prepared on the connection.
        """
        with self.reading.connect() as connection:
            yield connection

    @contextmanager
    def view(self) -> Iterator[Connection]:
        """Give a connection for reading one unchanging state of the database, however long that takes."""
        with self.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            take_time(connection)
            yield connection


def take_time(connection: Connection) -> None:
    """Let this transaction go through the whole database, however long that takes."""
    for name, value in _LONG_READ.items():
        connection.execute(text(f"SET LOCAL {name} = '{value}'"))


def _ping_what_rested(engine: Engine) -> None:
    """Before a connection that was not used for a while is used, see that it lives; in a rush nobody asks."""

    def note_use(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["used"] = time.monotonic()

    def ask(connection: Any, record: ConnectionPoolEntry, _: Any) -> None:
        if time.monotonic() - record.info.get("used", math.inf) < FRESH_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            raise InvalidatePoolError from error  # has a new connection made, and every older one asked

    listen(engine, "checkin", note_use)
    listen(engine, "checkout", ask)


def run_after_commit(work: UnitOfWork) -> None:
    """Do what was to be done once the work is safe. What fails here is logged: a durable timer must stand behind it."""
    for action in work.after_commit:
        try:
            action()
        except Exception as error:
            _logger.warning("after_commit_failed", error=type(error).__name__)


def is_conflict(error: BaseException) -> bool:
    """Tell whether a transaction failed only because another one was in its way: run it again."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _CONFLICTS


def is_duplicate(error: BaseException) -> bool:
    """Tell whether a transaction failed because what it adds is there already: added since it looked, maybe."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == _DUPLICATE


def is_connection_loss(error: BaseException) -> bool:
    """Tell whether the database, rather than the work, is at fault: it is away, starting, stopping or full."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeoutError)
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return error.connection_invalidated or state[:2] in {"08", "57", "53"} or (not state and _is_operational(error))


def _is_operational(error: DBAPIError) -> bool:
    return type(error).__name__ in {"OperationalError", "InterfaceError"}
