"""The store in a rush: transactions at the same time, each on a connection of its own."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from uuid import uuid4

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from domain import inventory, procurement
from domain.basket import Line, NewOrder
from domain.customers import Contact
from domain.events import OrderItem
from domain.invariants.store import PROCUREMENT, STOCK
from domain.kernel.invariant import attempt
from domain.kernel.unit_of_work import UnitOfWork, is_conflict
from domain.orders import Order
from domain.placing import Incoming
from tests.integration.conftest import Shop
from tests.integration.model import slate
from tests.integration.test_procurement import count_salami

pytestmark = pytest.mark.integration

PORTION = 60
"""Grams of salami on a medium diavola."""
THRESHOLD = 500
"""More than any order here takes, so that whoever finds too little finds what is low already."""
BUYERS, UNITS = 50, 10

_CROSSINGS = """
SELECT count(*) FROM (
    SELECT there, lag(there) OVER (ORDER BY id) AS before FROM (
        SELECT id, sum(quantity) OVER (ORDER BY id) AS there FROM stock_movements WHERE ingredient_id = 'salami'
    ) m
) s WHERE there < :threshold AND before >= :threshold
"""


def change(shop: Shop, step: Callable[[UnitOfWork], object]) -> None:
    """Run a step in a transaction of its own, again when another was in its way."""
    while True:
        try:
            with shop.database.begin("rush") as work:
                step(work)
                return
        except Exception as error:
            if not is_conflict(error):
                raise


def violated(shop: Shop) -> list[str]:
    with shop.database.read() as connection:
        findings = [attempt(connection, invariant) for invariant in (*STOCK, *PROCUREMENT)]
    return [f"{finding.invariant.title}: {finding.examples}" for finding in findings if finding.violations]


def test_of_fifty_buyers_for_ten_exactly_ten_get_theirs_and_the_others_are_made_whole(shop: Shop) -> None:
    count_salami(shop, UNITS * PORTION, 0)

    def place(number: int) -> Order:
        (outcome,) = shop.orders(
            Incoming(
                NewOrder(
                    contact=Contact("Ada", f"+1555010{number:04}", "ada@example.com"),
                    fulfilment="pickup",
                    payment="cash",
                    lines=(Line(pizza="diavola", size="medium", quantity=1),),
                ),
                None,
                uuid4().hex,
            )
        )
        assert not isinstance(outcome, Exception)
        return outcome[0]

    with ThreadPoolExecutor(8) as people:
        orders = list(people.map(place, range(BUYERS)))
        shop.fan_out()
        # Several workers at once: one takes what another has not locked yet, or waits for it at the shelf.
        list(people.map(lambda _: reserve_some(shop), range(8)))
    shop.drain()
    ends = [shop.status(order) for order in orders]
    assert (ends.count("delivered"), ends.count("cancelled")) == (UNITS, BUYERS - UNITS)
    assert shop.value("SELECT quantity FROM ingredients WHERE id = 'salami'") == 0
    dough = "SELECT sum(quantity) FROM stock_ledger WHERE ingredient_id = 'dough' AND reason = :reason"
    assert shop.value(dough, reason="used") == -UNITS * 250, "nothing else was kept from those who got nothing"
    told = "SELECT count(DISTINCT order_id) FROM messages WHERE about = 'OrderCancelled' AND channel = :channel"
    assert [shop.value(told, channel=channel) for channel in ("sms", "email")] == [BUYERS - UNITS] * 2
    assert shop.value("SELECT count(*) FROM events WHERE type = 'InventoryLow'") == 1
    assert shop.value("SELECT count(*) FROM purchases") == 1
    assert violated(shop) == []


def reserve_some(shop: Shop) -> None:
    shop.run("inventory", "OrderPlaced")


counts = st.integers(1, 8)
steps = st.one_of(
    st.tuples(st.just("order"), counts),
    st.tuples(st.just("order"), counts),
    st.tuples(st.just("cancel"), counts),
    st.tuples(st.just("buy"), counts),
    st.tuples(st.just("receive"), counts),
    st.tuples(st.just("count"), st.integers(0, 1_500)),
    st.tuples(st.just("waste"), st.integers(1, 700)),
)


class Cook:
    """One of those who work at the same time."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.orders: list[str] = []

    def work(self, script: Sequence[tuple[str, int]]) -> None:
        for name, number in script:
            getattr(self, name)(number)

    def order(self, pizzas: int) -> None:
        item = OrderItem(pizza="diavola", name="D", size="medium", quantity=pizzas, unit_price=0)  # type: ignore[arg-type]
        self.orders.append(uuid4().hex)
        change(self.shop, lambda work: inventory.reserve(work, {self.orders[-1]: (item,)}))

    def cancel(self, which: int) -> None:
        change(self.shop, lambda work: inventory.release(work, self.orders[-which:][:1]))

    def buy(self, _: int) -> None:
        self.shop.fan_out()
        self.shop.run("procurement", "InventoryLow")

    def receive(self, _: int) -> None:
        for row in self.shop.rows("SELECT id FROM purchases WHERE state = 'open' AND ingredient_id = 'salami'"):
            with suppress(procurement.ReceivedBeforeError):
                change(self.shop, partial(procurement.receive, purchase_id=row.id, received_by="rush"))

    def count(self, grams: int) -> None:
        change(self.shop, lambda work: inventory.count(work, "salami", grams))

    def waste(self, grams: int) -> None:
        with suppress(inventory.QuantityError):
            change(self.shop, lambda work: inventory.waste(work, "salami", grams))


def test_whatever_is_done_at_once_nothing_gets_below_zero_and_every_crossing_is_told_and_bought_once(
    shop: Shop,
) -> None:
    slate.keep(shop)

    @settings(max_examples=20, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(st.lists(st.lists(steps, min_size=3, max_size=8), min_size=3, max_size=3))
    def rush(scripts: list[list[tuple[str, int]]]) -> None:
        slate.wipe(shop)
        count_salami(shop, 900, THRESHOLD)
        cooks = [Cook(shop) for _ in scripts]
        with ThreadPoolExecutor(len(cooks)) as kitchen:
            for done in [kitchen.submit(cook.work, script) for cook, script in zip(cooks, scripts, strict=True)]:
                done.result()
        shop.drain()
        assert violated(shop) == []
        lows = shop.value("SELECT count(*) FROM events WHERE type = 'InventoryLow' AND stream = 'ingredient-salami'")
        assert lows == shop.value(_CROSSINGS, threshold=THRESHOLD)
        purchases = shop.rows("SELECT state FROM purchases WHERE ingredient_id = 'salami'")
        assert len(purchases) <= lows
        assert [row.state for row in purchases].count("open") <= 1

    rush()
