"""This process's database."""

from functools import cache

from domain.database import connect
from domain.kernel.unit_of_work import Database
from domain.settings import settings


@cache
def database() -> Database:
    """Give the database, connected on first use; a forked process forgets its parent's first (see tasks.celery)."""
    return connect(settings().database(), connections=3, ping=False)
