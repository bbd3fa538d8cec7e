"""Ways that an order may take, and what is recorded of each: the same with a broker and workers as in one process."""

from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from domain.database import ADVISORY_LOCKS
from tests.acceptance.conftest import ORDER, Shop
from tests.conftest import until
from tests.fakes.twilio import NO_NUMBER

FIVE = [
    {"pizza": "margherita", "size": "large", "quantity": 2},
    {"pizza": "marinara", "size": "small", "quantity": 2, "toppings": ["mushrooms"]},
    {"pizza": "vegetariana", "size": "medium", "quantity": 1},
]
PLACED = ["OrderPlaced"]
MADE = [*PLACED, "OrderCookingStarted", "OrderReady"]
DELIVERED = [*MADE, "OrderOutForDelivery", "OrderDelivered"]
HANDED_OVER = [*MADE, "OrderDelivered"]
CANCELLED = [*PLACED, "OrderCancelled"]

Story = list[tuple[str, list[str]]]
"""What was recorded because of an order: the types in each stream, by kind of stream."""


def cancel_in_time(shop: Shop) -> str:
    """Order, and cancel while the store has put by what it takes and somebody keeps the kitchen from firing."""
    with psycopg.connect(shop.services()["database_url"]) as keeper:
        keeper.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCKS["kitchen"],))
        order_id = shop.place()
        reserved = "SELECT count(*) FROM reservations WHERE order_id = %s AND state = 'reserved'"
        until(lambda: shop.value(reserved, order_id), 20, "the reservation")
        assert shop.http.post(f"{shop.url}/api/orders/{order_id}/cancel").status_code == 200
    return order_id


def count_salami(shop: Shop, grams: int, threshold: int) -> None:
    """Have the store find so much salami, want to have more than a threshold, and know of no purchase on its way."""
    for (purchase,) in shop.rows("SELECT id FROM purchases WHERE state = 'open'"):
        assert shop.ask("stock", "receive", str(purchase)).code == 0
    shop.rows(
        "WITH found AS (UPDATE ingredients SET quantity = %s, minimum_threshold = %s, low_until = NULL"
        " WHERE id = 'salami')"
        " INSERT INTO stock_movements (ingredient_id, reason, quantity)"
        " SELECT id, 'counted', %s - quantity FROM ingredients WHERE id = 'salami'",
        grams,
        threshold,
        grams,
    )


def run_out(shop: Shop) -> str:
    """Order two diavolas of which the store can make one."""
    count_salami(shop, 60, 50)
    return shop.place(items=[{"pizza": "diavola", "size": "medium", "quantity": 2}])


def run_low(shop: Shop) -> str:
    """Order a pizza that leaves the store with less salami than it wants to have."""
    count_salami(shop, 60, 50)
    return shop.place(items=[{"pizza": "diavola", "size": "medium", "quantity": 1}])


def have_a_dead_number(shop: Shop) -> str:
    """Order with a number that no text can be sent to."""
    return shop.place(customer=ORDER["customer"] | {"phone": NO_NUMBER})


@dataclass(frozen=True)
class Flow:
    """A way, which gives its order's id; the order's steps; and what is recorded beside them, by kind of stream."""

    take: Callable[[Shop], str]
    steps: list[str]
    beside: Story

    @property
    def story(self) -> Story:
        """All that is recorded."""
        return sorted([("order", self.steps), *self.beside])


RESERVED = ("reservation", ["StockReserved"])
FIRED = ("load", ["OvenLoadFired"])
BOUGHT = [("ingredient", ["InventoryLow"]), ("purchase", ["PurchaseOrdered"])]
FLOWS = {
    "a delivery": Flow(lambda shop: shop.place(), DELIVERED, [RESERVED, FIRED]),
    "a pickup": Flow(lambda shop: shop.place(fulfilment="pickup", address=None), HANDED_OVER, [RESERVED, FIRED]),
    "several pizzas": Flow(lambda shop: shop.place(items=FIVE), DELIVERED, [RESERVED, FIRED]),
    "cancelled in time": Flow(cancel_in_time, CANCELLED, [RESERVED]),
    "out of stock": Flow(run_out, CANCELLED, [("reservation", ["StockReservationFailed"]), *BOUGHT]),
    "stock gets low": Flow(run_low, DELIVERED, [RESERVED, FIRED, *BOUGHT]),
    "a mail instead of a text": Flow(have_a_dead_number, DELIVERED, [RESERVED, FIRED, ("message", ["MessageFailed"])]),
}


def told(shop: Shop, flow: str) -> Story:
    """Take a way, wait until all is done that follows from it, and tell what was recorded because of it."""
    order_id = FLOWS[flow].take(shop)
    first = f"order-{order_id}"
    because = "correlation_id = (SELECT correlation_id FROM events WHERE stream = %s AND sequence = 1)"
    # The oven looks once more, later, whether the chord has done its work.
    pending = (
        f"SELECT (SELECT count(*) FROM outbox JOIN events USING (position) WHERE {because}) + (SELECT count(*)"
        f" FROM deliveries JOIN events USING (position) WHERE {because} AND state = 'pending' AND handler <> 'oven')"
    )
    ended = "SELECT count(*) FROM orders WHERE id = %s AND status IN ('delivered', 'cancelled')"
    until(lambda: shop.value(ended, order_id), 30, "the order's end")
    until(lambda: not shop.value(pending, first, first), 30, "the end of what follows from the order")
    streams = shop.rows(
        "SELECT split_part(stream, '-', 1) AS kind, array_agg(type ORDER BY sequence) AS types FROM events"
        f" WHERE {because} GROUP BY stream ORDER BY 1, 2",
        first,
    )
    return [(stream.kind, stream.types) for stream in streams]
