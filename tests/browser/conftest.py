"""A real browser on a real web server."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pydantic import SecretStr
from sqlalchemy import make_url

from domain import migrations, seed
from domain.database import connect
from domain.kernel.unit_of_work import Database
from domain.settings import Settings
from tests.conftest import Pizzeria, free_port, until
from web.operations import PATIENCE

CHROMIUM = Path("/usr/bin/chromium")
STAFF_PASSWORD = "correct horse"
PATIENCE_MS = 30_000

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Live:
    """A running web server and its database."""

    address: str
    database: Database

    def count(self) -> int:
        with self.database.read() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM orders").scalar_one())


@pytest.fixture(scope="session")
def live(
    services: dict[str, str], tmp_path_factory: pytest.TempPathFactory, answers: Callable[[str], bool]
) -> Iterator[Live]:
    """The web server, once for all tests in the browser."""
    name = f"browser_{uuid4().hex}"
    with psycopg.connect(services["database_url"], autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    url = make_url(services["database_url"]).set(database=name).render_as_string(hide_password=False)
    database = connect(url)
    migrations.upgrade(database.engine)
    with database.engine.begin() as connection:
        seed.seed(connection, Settings(staff_password=SecretStr(STAFF_PASSWORD)))
    port = free_port()
    web = Pizzeria(
        tmp_path_factory.mktemp("browser") / "home",
        {
            "PIZZERIA_DATABASE_URL": url,
            "PIZZERIA_BROKER_URL": services["broker_url"],
            "PIZZERIA_PORT": str(port),
            "PIZZERIA_WEB_WORKERS": "1",
            "PIZZERIA_BAKE_SECONDS": "600",
        },
    )
    web.start("web")
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(f"{address}/readyz"), 30 + PATIENCE, "the web server")
        yield Live(address, database)
    finally:
        web.end()
        database.engine.dispose()


@pytest.fixture(scope="session")
def answers() -> Callable[[str], bool]:
    """Tells whether an address answers that it is ready."""
    import urllib.request

    def ask(url: str) -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(json.load(answer)["ready"])
        except OSError:
            return False

    return ask


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"Chromium is not installed at {CHROMIUM}.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, live: Live) -> Iterator[Callable[..., Page]]:
    """Open a page of the given width; any fault in its scripts fails the test."""
    faults: list[str] = []
    contexts = []

    def make(path: str = "/", *, width: int = 1280, scripts: bool = True) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 900}, java_script_enabled=scripts)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None)
        page.goto(live.address + path)
        return page

    yield make
    for context in contexts:
        context.close()
    assert faults == []
