"""The schema, step by step; `pizzeria migrate` runs what is missing."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from domain.database import ADVISORY_LOCKS

_LOCK = ADVISORY_LOCKS["migrations"]


def upgrade(engine: Engine) -> None:
    """Bring the database to the newest schema. Of several that start at once, one migrates and the others wait."""
    config = Config()
    config.set_main_option("script_location", "domain:migrations")
    with engine.connect() as connection:
        connection.execute(text("SET transaction_timeout = 0; SET lock_timeout = 0"))
        connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.commit()
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
            connection.commit()
            connection.invalidate()  # the session's settings above are not for the pool
