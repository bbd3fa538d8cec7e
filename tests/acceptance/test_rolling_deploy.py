"""A deployment while a thousand events of the version before are on their way: none is lost, parked or done twice."""

from collections.abc import Callable

import pytest

from tests.acceptance.conftest import Shop
from tests.conftest import until
from tests.contract.stored import sample, store

pytestmark = pytest.mark.acceptance

ORDERS = 1000

OLD_RELAY = """
WITH taken AS (DELETE FROM outbox RETURNING position)
INSERT INTO deliveries (position, handler) SELECT t.position, s.handler
FROM taken t JOIN events e USING (position) JOIN subscriptions s ON s.event_type = e.type
"""
TWICE = {
    "messages": "SELECT count(*) FROM (SELECT FROM messages GROUP BY order_id, channel, about HAVING count(*) > 1) m",
    "reservations": "SELECT count(*) FROM (SELECT FROM stock_movements GROUP BY order_id, ingredient_id"
    " HAVING count(*) > 1 AND order_id IS NOT NULL) m",
    "deliveries": "SELECT count(*) FROM (SELECT FROM events WHERE type = 'OrderDelivered' GROUP BY stream"
    " HAVING count(*) > 1) e",
}


def test_a_thousand_old_events_in_flight_over_a_deployment_are_each_handled_once(
    new_shop: Callable[..., Shop],
) -> None:
    shop = new_shop()
    shop.start("services")
    url = shop.services()["database_url"]
    assert shop.run("migrate")[0] == 0

    # The code before: it had no analytics, and had fanned out half of its events when it was stopped.
    shop.rows("DELETE FROM subscriptions WHERE handler = 'analytics'")
    orders = store(url, 1, [sample(1) for _ in range(ORDERS // 2)])
    shop.rows(OLD_RELAY)
    orders += store(url, 1, [sample(1) for _ in range(ORDERS // 2)])

    assert shop.run("migrate")[0] == 0
    shop.start("relay")
    shop.worker()
    shop.wait_until_delivered(orders)
    until(lambda: shop.value("SELECT count(*) FROM deliveries WHERE state = 'pending'") == 0, 120, "quiet")

    states = shop.rows("SELECT DISTINCT state FROM deliveries")
    assert [row.state for row in states] == ["done"]
    assert {what: shop.value(sql) for what, sql in TWICE.items()} == dict.fromkeys(TWICE, 0)
    assert (
        shop.value("SELECT count(*) FROM messages WHERE about = 'OrderPlaced' AND state IN ('sent', 'aborted')")
        == ORDERS
    )
    assert shop.value("SELECT count(*) FROM order_metrics") == ORDERS // 2

    said = shop.ask("replay", "analytics")  # what was before its time, for the handler that is new
    assert (said.code, f"order_metrics: {ORDERS // 2} rows mended ({ORDERS // 2} missing" in said.out) == (0, True)
    said = shop.ask("replay", "orders", "--dry-run")
    assert (said.code, said.out) == (0, f"{ORDERS} orders folded, 0 differ from the live table.\n")
    shop.check()
