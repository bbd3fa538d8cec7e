"""The kitchen's chord: one bake for each pizza of an order alone, and then the order is ready once."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from celery import Celery

from tests.acceptance.conftest import Shop
from tests.acceptance.flows import DELIVERED, FIVE
from tests.conftest import until

pytestmark = pytest.mark.acceptance

BAKE = 3


@pytest.fixture(scope="module")
def shop(new_shop: Callable[..., Shop]) -> Shop:
    shop = new_shop(bake_seconds=BAKE)
    shop.open("--scale", "oven=2")
    return shop


@contextlib.contextmanager
def watched(shop: Shop) -> Iterator[Counter[str]]:
    """Count by name, as they come, the tasks that the workers say they have ended well."""
    names: dict[str, str] = {}
    ended: Counter[str] = Counter()
    app = Celery(broker=shop.services()["broker_url"], set_as_current=False)
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(
            connection,
            handlers={
                "task-received": lambda event: names.setdefault(event["uuid"], event["name"]),
                "task-succeeded": lambda event: ended.update([names.get(event["uuid"], "unknown")]),
            },
        )
        thread = threading.Thread(target=receiver.capture)
        thread.start()
        try:
            until(lambda: ended or names, 20, "the first event: the kitchen's timer")
            yield ended
        finally:
            receiver.should_stop = True
            thread.join(20)


def pizzas(shop: Shop, order_id: str, state: str) -> int:
    return int(shop.value("SELECT count(*) FROM ticket_pizzas WHERE order_id = %s AND state = %s", order_id, state))


def put_into_the_oven(shop: Shop) -> str:
    """Order five pizzas and wait until their chord is on its way; gives the order's id."""
    order = shop.place(items=FIVE)
    loaded = "SELECT count(*) FROM ticket_pizzas WHERE order_id = %s AND load_id IS NOT NULL"
    until(lambda: shop.value(loaded, order) == 5, what="five pizzas in the oven")
    on_its_way = "SELECT position FROM deliveries WHERE handler = 'oven' AND state = 'pending' AND not_before > now()"
    until(lambda: shop.rows(on_its_way), what="the chord")
    return order


def test_five_pizzas_are_five_bakes_and_then_one_order_is_ready_once(shop: Shop) -> None:
    with watched(shop) as ended:
        order = put_into_the_oven(shop)
        shop.wait_until_delivered([order])
        until(lambda: ended["plate"] and ended["delivery"], 10, "the end of the chord")
    assert (ended["bake"], ended["plate"]) == (5, 1)
    assert shop.events(order) == DELIVERED
    seconds = shop.value("SELECT extract(epoch FROM ready_at - placed_at) FROM orders WHERE id = %s", order)
    assert seconds >= BAKE, "it must not come out before it is due"


@pytest.mark.parametrize("words", ["pizzeria worker oven", "pizzeria worker pass"])
def test_a_worker_killed_while_pizzas_bake_costs_nothing(shop: Shop, words: str) -> None:
    order = put_into_the_oven(shop)
    shop.kill(words)
    shop.wait_until_delivered([order], 60)
    assert shop.events(order) == DELIVERED
    assert pizzas(shop, order, "baked") == 5


def test_after_that_every_invariant_holds(shop: Shop) -> None:
    shop.check()
