"""Two transactions at the same time: the second comes while the first has done its work and not committed yet."""

import threading
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy.exc import IntegrityError

from domain import inventory, menu, orders, placing
from domain.basket import Line, NewOrder
from domain.customers import Contact
from domain.database import hold
from domain.delivery import Dispatch
from domain.events import OrderPlaced, OrderReady, StockReserved, catalogue
from domain.kernel import clock, log
from domain.kernel.unit_of_work import UnitOfWork, is_conflict, is_duplicate
from domain.kitchen import Kitchen
from domain.orders import Order
from domain.placing import Incoming, Outcome
from domain.settings import settings
from tests.conftest import until
from tests.integration.conftest import Shop
from tests.integration.probe import Probe

pytestmark = pytest.mark.integration

_BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

WANTED = NewOrder(
    contact=Contact("Ada", "+15550100001"),
    fulfilment="pickup",
    payment="cash",
    lines=(Line(pizza="margherita", size="large", quantity=1),),
)


class Second:
    """Whoever comes second, in a thread and a transaction of its own."""

    def __init__(self, shop: Shop, step: Callable[[UnitOfWork], object]) -> None:
        self._shop, self._step = shop, step
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def comes(self) -> None:
        """Start, and go on until it waits for a lock or has come to its end."""
        self._thread.start()
        until(lambda: self._shop.value(_BLOCKED) or not self._thread.is_alive(), 10, "the second's waiting or end")

    def ends(self) -> None:
        """Wait for its end; raises what it raised."""
        self._thread.join(20)
        assert not self._thread.is_alive()
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            with self._shop.database.begin("second") as work:
                self._step(work)
        except BaseException as error:
            self._error = error


def waiting_tickets(shop: Shop, number: int) -> list[Order]:
    """Place orders whose tickets have all they need, none of them in the oven yet."""
    placed = [shop.order() for _ in range(number)]
    shop.execute(
        "INSERT INTO tickets (order_id, stock_reserved, priority, placed_at) SELECT id, true, 5, placed_at FROM orders"
    )
    return placed


def ready_order(shop: Shop) -> OrderReady:
    """Place an order that waits at the pass."""
    order = shop.order()
    shop.execute("UPDATE orders SET status = 'ready', ready_at = now() WHERE id = :id", id=order.id)
    return OrderReady(
        **order.contact, fulfilment="delivery", preparation_time=1, estimated_preparation_time=1, ready_at=clock.now()
    )


def test_of_two_who_place_an_order_with_one_key_the_second_fails_and_then_finds_the_first_ones(shop: Shop) -> None:
    shop.orders(Incoming(WANTED, None, "before"))  # so that the second need not wait to add the customer

    def order(work: UnitOfWork) -> list[Outcome]:
        return placing.place(work, [Incoming(WANTED, "k", "now")], menu.read(work.connection), settings())

    second = Second(shop, order)
    with shop.database.begin("first") as work:
        ((first, _),) = order(work)  # type: ignore[misc]
        work.flush()
        second.comes()
    with pytest.raises(IntegrityError) as failed:
        second.ends()
    assert is_duplicate(failed.value)
    assert not is_conflict(failed.value)
    assert shop.orders(Incoming(WANTED, "k", "later")) == [(first, False)]
    assert shop.value("SELECT count(*) FROM orders") == shop.value("SELECT count(*) FROM events") == 2


def test_whom_two_meet_at_once_is_added_once_with_one_key_for_what_is_personal(shop: Shop) -> None:
    def order(work: UnitOfWork) -> None:
        placing.place(work, [Incoming(WANTED, None, "now")], menu.read(work.connection), settings())

    second = Second(shop, order)
    with shop.database.begin("first") as work:
        order(work)
        second.comes()
    second.ends()
    assert shop.value("SELECT count(*) FROM customers") == shop.value("SELECT count(*) FROM personal_keys") == 1
    with shop.database.read() as connection:
        streams = [f"order-{row.id}" for row in shop.rows("SELECT id FROM orders ORDER BY placed_at")]
        events = [recorded for [recorded] in log.read_streams(connection, catalogue, streams).values()]
    assert [recorded.event.customer_name for recorded in events] == ["Ada", "Ada"]  # type: ignore[union-attr]


def test_two_who_fire_at_once_put_no_more_into_the_oven_than_it_holds(
    shop: Shop, configure: Callable[..., None]
) -> None:
    configure(oven_capacity=5)
    waiting_tickets(shop, 12)
    second = Second(shop, Kitchen(settings()).fire)
    with shop.database.begin("first") as work:
        Kitchen(settings()).fire(work)
        second.comes()
    second.ends()
    assert shop.value("SELECT count(*) FROM tickets WHERE state = 'cooking'") == 5


def test_two_who_send_drivers_off_at_once_give_one_driver_one_tour(shop: Shop, configure: Callable[..., None]) -> None:
    configure(drivers=1, drive_seconds=60)
    one, other = ready_order(shop), ready_order(shop)
    second = Second(shop, lambda work: Dispatch(settings()).take(work, [other]))
    with shop.database.begin("first") as work:
        Dispatch(settings()).take(work, [one])
        second.comes()
    second.ends()
    tours = {row.order_id: row.state for row in shop.rows("SELECT order_id, state FROM tours")}
    assert tours == {one.order_id: "out", other.order_id: "waiting"}


def test_a_tour_that_somebody_ends_by_hand_is_locked_before_the_dispatch_as_the_lock_order_says(
    shop: Shop, configure: Callable[..., None]
) -> None:
    configure(drive_seconds=60)
    ready = ready_order(shop)
    with shop.database.begin("leaves") as work:
        Dispatch(settings()).take(work, [ready])
    second = Second(shop, lambda work: Dispatch(settings()).arrive(work, ready.order_id))
    with shop.database.begin("first") as work:
        work.locks("tours")
        work.run("SELECT FROM tours FOR UPDATE")
        second.comes()
        hold(work, "dispatch")
    second.ends()
    assert shop.value("SELECT status FROM orders") == "delivered"


def test_an_order_that_is_cancelled_and_fired_at_once_is_one_of_both(shop: Shop) -> None:
    (order,) = waiting_tickets(shop, 1)
    second = Second(shop, Kitchen(settings()).fire)
    with shop.database.begin("first") as work:
        orders.cancel(work, order.id, "Changed my mind.", "customer")
        work.flush()
        second.comes()
    second.ends()
    assert shop.status(order) == "cancelled"
    assert shop.events(order) == ["OrderPlaced", "OrderCancelled"]
    assert shop.value("SELECT state FROM tickets") == "cancelled"


def test_two_who_reserve_at_once_take_what_there_is_and_no_more(shop: Shop) -> None:
    shop.execute("UPDATE ingredients SET quantity = 60 WHERE id = 'salami'")  # enough for one diavola
    one, other = shop.order(), shop.order()
    outcome: list[inventory.Outcome] = []
    second = Second(shop, lambda work: outcome.append(inventory.reserve(work, {other.id: other.items})))
    with shop.database.begin("first") as work:
        inventory.reserve(work, {one.id: one.items})
        second.comes()
    second.ends()
    assert [missing.ingredient_id for missing in outcome[0][other.id][1]] == ["salami"]
    assert shop.value("SELECT quantity FROM ingredients WHERE id = 'salami'") == 0


def test_two_who_append_to_one_stream_at_once_leave_neither_a_double_nor_a_gap(shop: Shop) -> None:
    def append(work: UnitOfWork) -> None:
        work.record(StockReserved(order_id="o1", ingredients={}))
        work.flush()

    second = Second(shop, append)
    with shop.database.begin("first") as work:
        append(work)
        second.comes()
    with pytest.raises(IntegrityError, match="events_stream_sequence_key"):
        second.ends()
    assert [row.sequence for row in shop.rows("SELECT sequence FROM events WHERE stream = 'reservation-o1'")] == [1]


def test_an_event_that_commits_after_a_later_one_was_fanned_out_is_not_passed_over(shop: Shop) -> None:
    with shop.database.begin("early number, late commit") as work:
        work.record(StockReserved(order_id="slow", ingredients={}))
        work.flush()
        shop.order()
        shop.fan_out()
        assert shop.value("SELECT count(*) FROM deliveries WHERE handler = 'inventory'") == 1
    shop.fan_out()
    late = "SELECT d.handler FROM deliveries d JOIN events e USING (position) WHERE e.type = 'StockReserved'"
    assert shop.value(late) == "kitchen"


def test_a_deadlock_is_run_again_and_is_nobodys_attempt(probe: Probe) -> None:
    probe.shop.execute("INSERT INTO effects VALUES ('a', 'row'), ('b', 'row')")
    starts: list[int] = []

    def lock(work: UnitOfWork, row: str) -> None:
        work.run("SELECT FROM effects WHERE order_id = :row FOR UPDATE", row=row)

    def a_then_b(_: Sequence[OrderPlaced], work: UnitOfWork) -> None:
        starts.append(1)
        lock(work, "a")
        if len(starts) == 1:
            second.comes()
        lock(work, "b")

    def b_then_a(work: UnitOfWork) -> None:
        work.run("SET LOCAL deadlock_timeout = '30s'")  # so that the handler is the one that is given up
        lock(work, "b")
        lock(work, "a")

    second = Second(probe.shop, b_then_a)
    handler = probe.subscribe(a_then_b)
    probe.shop.order()
    probe.inside(handler, probe.fan_out())
    second.ends()
    (delivery,) = probe.deliveries()
    assert len(starts) == 2
    assert (delivery.state, delivery.attempts, delivery.error) == ("done", 0, None)
