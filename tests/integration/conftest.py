"""What integration tests share: a migrated, seeded database of their own, and a shop whose handlers run in place."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import IntegrityError

from domain import menu, migrations, orders, seed
from domain.basket import Line, NewOrder
from domain.customers import Contact
from domain.events import catalogue
from domain.kernel import clock
from domain.kernel.unit_of_work import Database, is_duplicate
from domain.orders import Order
from domain.placing import Incoming, Outcome, place
from domain.settings import settings
from tasks.bus import inline, outbox, subscriptions
from tasks.bus.inside import InsideRunner
from tasks.bus.outside import OutsideRunner
from tasks.bus.registry import Registry
from tasks.database import database
from tasks.gateways import outcome, switch
from tasks.registry import registry

if TYPE_CHECKING:
    from tests.integration.probe import Probe


def forget() -> None:
    """Have settings, database and switches read anew."""
    if database.cache_info().currsize:
        database().engine.dispose()
    for cached in (settings, database, registry):
        cached.cache_clear()
    switch._read.clear()
    clock.reset()


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set PIZZERIA_ variables for this test."""

    def set_all(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"PIZZERIA_{name.upper()}", str(value))
        forget()

    return set_all


@pytest.fixture(scope="session")
def template(services: dict[str, str]) -> str:
    """The URL of a database that is migrated and seeded, to be copied."""
    admin = services["database_url"]
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE DATABASE template_shop")
    url = make_url(admin).set(database="template_shop").render_as_string(hide_password=False)
    os.environ |= {"PIZZERIA_DATABASE_URL": url, "PIZZERIA_DRIVERS": "50", "PIZZERIA_STAFF_PASSWORD": "correct horse"}
    forget()
    migrations.upgrade(database().engine)
    with database().engine.begin() as connection_:
        subscriptions.write(connection_, registry())
        seed.seed(connection_, settings())
    forget()
    for name in ("DATABASE_URL", "DRIVERS", "STAFF_PASSWORD"):
        del os.environ[f"PIZZERIA_{name}"]
    forget()
    return url


@pytest.fixture
def fresh_database(services: dict[str, str], template: str) -> Iterator[str]:
    """The URL of a migrated, seeded database that only this test uses."""
    name = f"shop_{uuid4().hex}"
    with psycopg.connect(services["database_url"], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template_shop")
        yield make_url(template).set(database=name).render_as_string(hide_password=False)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass
class Shop:
    """A pizzeria on a database of its own. Its handlers run when ``drain`` is called, in this process."""

    url: str
    registry: Registry

    @property
    def database(self) -> Database:
        return database()

    def order(self, *lines: Line, key: str | None = None, **changes: Any) -> Order:
        """Place an order: a large margherita and a medium diavola for delivery, unless told otherwise."""
        given: dict[str, Any] = {
            "contact": Contact("Ada Lovelace", "+15550100001", "ada@example.com"),
            "fulfilment": "delivery",
            "payment": "cash",
            "address": "1 Analytical Row",
            "lines": lines
            or (Line(pizza="margherita", size="large", quantity=1), Line(pizza="diavola", size="medium", quantity=1)),
        }
        (outcome,) = self.orders(Incoming(NewOrder(**(given | changes)), key, f"test-{uuid4().hex}"))
        if isinstance(outcome, Exception):
            raise outcome
        order, _ = outcome
        return order

    def orders(self, *incoming: Incoming) -> list[Outcome]:
        """Place orders together; again where somebody else has just placed one with such a key."""
        for _ in range(10):
            try:
                with self.database.begin("test") as work:
                    return place(work, incoming, menu.read(work.connection), settings())
            except IntegrityError as error:
                if not is_duplicate(error):
                    raise
        raise AssertionError("There is always another order with such a key.")

    def drain(self) -> None:
        """Deliver everything that is due, and what comes of it."""
        inline.drain(self.database, catalogue, self.registry)

    def fan_out(self) -> None:
        """Turn what was recorded into deliveries, and send none."""
        outbox.fan_out(self.database.engine, [])

    def run(self, handler: str, event_type: str) -> None:
        """Run one handler for its deliveries of one event type, as one message."""
        positions = [
            row.position
            for row in self.rows(
                "SELECT d.position FROM deliveries d JOIN events e USING (position)"
                " WHERE d.handler = :handler AND e.type = :type",
                handler=handler,
                type=event_type,
            )
        ]
        runner = OutsideRunner if self.registry.handlers[handler].outside else InsideRunner
        runner(self.database, catalogue, holds_countdowns=False).run(self.registry.handlers[handler], positions)

    def status(self, order: Order) -> str:
        with self.database.read() as connection:
            return orders.get(connection, order.id).status

    def rows(self, sql: str, **values: Any) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(text(sql), values))

    def value(self, sql: str, **values: Any) -> Any:
        (row,) = self.rows(sql, **values)
        return row[0]

    def execute(self, sql: str, **values: Any) -> None:
        with self.database.engine.begin() as connection:
            connection.execute(text(sql), values)

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """Every statement that this process runs on the database until the end of the block."""
        seen: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            seen.append(statement)

        event.listen(self.database.engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            event.remove(self.database.engine, "before_cursor_execute", note)

    def events(self, order: Order) -> list[str]:
        """The types of everything that was recorded for an order, in the order it was recorded."""
        return [
            row.type
            for row in self.rows("SELECT type FROM events WHERE data->>'order_id' = :id ORDER BY position", id=order.id)
        ]

    def deliveries(self, handler: str) -> list[Any]:
        return self.rows("SELECT * FROM deliveries WHERE handler = :handler ORDER BY position", handler=handler)


@pytest.fixture(autouse=True)
def unhurried_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take no message for overtaken at its first try, however slow this machine is."""
    monkeypatch.setattr(outcome, "FRESH", timedelta(days=1))


@pytest.fixture
def shop(fresh_database: str, services: dict[str, str], configure: Callable[..., None]) -> Iterator[Shop]:
    """A shop that bakes and drives in no time, with no broker."""
    configure(
        database_url=fresh_database,
        broker_url=services["broker_url"],
        bus="memory",
        bake_seconds=0,
        drive_seconds=0,
        oven_capacity=50,
        drivers=50,
    )
    yield Shop(fresh_database, registry())
    forget()


@pytest.fixture
def probe(shop: Shop) -> "Probe":
    """A bus whose one handler the test describes."""
    from tests.integration.probe import Probe  # which knows the shop above

    return Probe(shop)
