"""The kernel's pool of connections to PostgreSQL: what has died is replaced, and only what has rested is asked."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from domain.kernel import unit_of_work
from domain.kernel.unit_of_work import Database, is_connection_loss

pytestmark = pytest.mark.integration


@pytest.fixture
def pool(database_url: str) -> Iterator[Database]:
    made = Database(database_url, (), connections=1)
    yield made
    made.engine.dispose()


def _session(pool: Database) -> int:
    with pool.read() as connection:
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def _cut(database_url: str, session: int) -> None:
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [session])


def test_a_connection_that_was_cut_while_it_rested_is_replaced(
    pool: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_of_work, "FRESH_SECONDS", 0)
    before = _session(pool)
    _cut(database_url, before)

    assert _session(pool) != before


def test_a_connection_that_is_in_use_all_the_time_is_not_asked(
    pool: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_of_work, "FRESH_SECONDS", 60)
    _cut(database_url, _session(pool))

    with pytest.raises(OperationalError) as lost:
        _session(pool)

    assert is_connection_loss(lost.value)
    assert _session(pool)


def test_reading_lets_a_connection_keep_the_statements_that_it_has_prepared(pool: Database) -> None:
    def prepared() -> int:
        with pool.engine.begin() as connection:
            return int(connection.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one())

    before = max(prepared() for _ in range(10))
    with pool.read() as connection:
        connection.execute(text("SELECT 1"))

    assert before > 0
    assert prepared() >= before
