"""What the bench of growth asks while it measures must not grow itself."""

import pytest
from sqlalchemy import create_engine, make_url, text

from bench.growth import past, rates
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration

READ = text(
    "SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables WHERE relname IN ('orders', 'deliveries')"
)


def test_it_waits_for_the_orders_of_one_release_and_reads_no_others(shop: Shop) -> None:
    shop.order()
    shop.drain()
    past.copy(shop.database.engine, copies=300)
    shop.execute("ANALYZE")
    engine = create_engine(make_url(shop.url).set(drivername="postgresql+psycopg"))  # as plain as the bench's own
    for number, orders in ((1, 2), (2, 3)):
        for _ in range(orders):
            shop.order()
        rates.put_by(engine, number)
    with engine.connect() as connection:
        assert [rates.Left(number)(connection) for number in (1, 2)] == [2, 3]
    shop.execute("INSERT INTO outbox SELECT position FROM bench_outbox WHERE number = 2")
    shop.drain()
    with engine.connect() as connection:
        before = connection.execute(READ).scalar_one()
        assert [rates.Left(number)(connection) for number in (1, 2)] == [2, 0]
        assert connection.execute(text(rates._TOOK), {"number": 2}).scalar_one() > 0
        assert connection.execute(READ).scalar_one() - before < 100
    engine.dispose()
