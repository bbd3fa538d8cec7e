"""The web application on a database of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr

from domain.settings import Settings
from web import create_app
from web.counter import Counter


@dataclass
class Site:
    """A web application and its database."""

    app: Flask
    url: str

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    @property
    def counter(self) -> Counter:
        here: Counter = self.app.extensions["counter"]
        return here

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as session:
            return session.execute(sql.encode()).fetchall()

    def run(self, sql: str) -> None:
        with psycopg.connect(self.url) as session:
            session.execute(sql.encode())

    def saved(self) -> dict[str, int]:
        """Count what orders leave behind."""
        tables = ("orders", "events", "outbox", "customers")
        return {table: self.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables}


@pytest.fixture
def make_site(fresh_database: str, broker_url: str, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make a site with these settings."""
    made: list[Site] = []

    def make(**values: Any) -> Site:
        chosen: dict[str, Any] = {
            "database_url": SecretStr(fresh_database),
            "broker_url": SecretStr(broker_url),
            "home": tmp_path,
        }
        app = create_app(Settings(**(chosen | {"rate_limits": "off", "secret_key": SecretStr("s" * 32)} | values)))
        made.append(Site(app, fresh_database))
        return made[-1]

    yield make
    for site in made:
        if relay := site.app.extensions.get("relay"):
            relay.stop()
        site.counter.database.engine.dispose()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


@pytest.fixture
def no_events(site: Site) -> Iterator[None]:
    """Whatever is done to a register, nothing is recorded of it. (Passwords cost little here: each request has one.)"""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct horse")
    site.run(f"UPDATE staff SET password_hash = '{cheap}'")
    yield
    assert site.rows("SELECT type FROM events WHERE type <> 'OrderPlaced'") == []
