"""The bench counts effects: the shared order job and the real pipeline leave the same, and what is missing is named."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from bench import backlog, effects, job
from bench.peers import straight
from domain import menu, placing
from domain.basket import price
from domain.placing import Incoming
from domain.settings import settings
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration

ORDERS = 3


@pytest.fixture
def stocked(shop: Shop) -> Iterator[Shop]:
    """A shop in which the job's steps work too."""
    for cached in (job.engine, job.note_start, job.recipes):
        cached.cache_clear()
    shop.execute("CREATE TABLE bench_starts (at timestamptz NOT NULL)")
    yield shop
    job.engine().dispose()


def mistakes(shop: Shop) -> list[str]:
    with shop.database.read() as connection:
        return effects.mistakes(effects.count(connection), effects.expected(connection, ORDERS))


def work_in_a_straight_line(shop: Shop) -> None:
    with shop.database.read() as connection:
        card = menu.read(connection)
    for new in backlog.orders(ORDERS, card):
        order = job.draft(new, price(new.lines, card))
        job.run(job.place, order)
        straight.work(order)


def test_the_shared_job_leaves_what_is_demanded(stocked: Shop) -> None:
    work_in_a_straight_line(stocked)

    assert mistakes(stocked) == []
    assert stocked.value("SELECT count(*) FROM bench_starts") == 1


def test_the_pipeline_leaves_what_is_demanded(stocked: Shop) -> None:
    with stocked.database.read() as connection:
        card = menu.read(connection)
    for new in backlog.orders(ORDERS, card):
        with stocked.database.begin("test") as work:
            placing.place(work, [Incoming(new, None, "test")], card, settings())
    stocked.drain()

    assert mistakes(stocked) == []


def test_an_effect_that_is_missing_is_named(stocked: Shop) -> None:
    work_in_a_straight_line(stocked)
    with job.engine().begin() as connection:
        connection.execute(
            text("DELETE FROM messages WHERE channel = 'email' AND order_id = (SELECT min(id) FROM orders)")
        )

    assert mistakes(stocked) == [f"mails settled: {ORDERS - 1}, not {ORDERS}."]
