"""The bus on a real database: retries, waiting, parking, duplicates and poison."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.errors import DeadlockDetected
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from domain.basket import Line
from domain.events import InventoryLow, OrderPlaced, SupplierInfo, catalogue
from domain.kernel.failpoint import FailPoint
from domain.kernel.unit_of_work import LockOrderError, UnitOfWork
from tasks.bus import deliveries, outbox
from tasks.bus.inside import InsideRunner
from tasks.bus.registry import Handler, Registry, Subscription
from tasks.bus.retry import Permanent, Retry, Wait
from tasks.registry import registry
from tests.integration.conftest import Shop
from tests.integration.probe import QUICK, KilledError, Probe, cut, effect

pytestmark = pytest.mark.integration


def test_an_event_delivered_five_times_has_one_effect(probe: Probe) -> None:
    handler = probe.subscribe(effect)
    order = probe.shop.order()
    positions = probe.fan_out()
    for _ in range(5):
        probe.inside(handler, positions)
    assert probe.effects() == [order.id]


def test_an_event_handled_by_two_workers_at_once_has_one_effect(probe: Probe) -> None:
    both_started = threading.Barrier(2, timeout=10)

    def slow(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
        effect(placed, work)
        both_done.wait(10)

    both_done = threading.Event()
    handler = probe.subscribe(slow)
    probe.shop.order()
    positions = probe.fan_out()

    def run() -> None:
        both_started.wait()
        probe.inside(handler, positions)
        both_done.set()  # the one that found nothing to do lets the other go on

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(probe.effects()) == 1


def test_a_worker_that_dies_right_after_its_commit_has_left_nothing_to_do(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(point: FailPoint) -> None:
        if point.name == "inside.committed":
            raise KilledError

    handler = probe.subscribe(effect)
    order = probe.shop.order()
    positions = probe.fan_out()
    with monkeypatch.context() as armed:
        armed.setattr(FailPoint, "reach", kill)
        with pytest.raises(KilledError):
            probe.inside(handler, positions)
    probe.inside(handler, positions)
    assert probe.effects() == [order.id]


def test_what_follows_the_commit_finds_it_done(probe: Probe) -> None:
    found: list[list[str]] = []

    def start_something(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
        effect(placed, work)
        work.after_commit.append(lambda: found.append(probe.effects()))

    handler = probe.subscribe(start_something)
    order = probe.shop.order()
    probe.inside(handler, probe.fan_out())
    assert found == [[order.id]]


def test_a_copy_of_a_message_that_comes_before_its_retry_is_due_does_nothing(probe: Probe) -> None:
    attempts = []

    def fail(_: Sequence[OrderPlaced], __: UnitOfWork) -> None:
        attempts.append(1)
        raise OSError("not yet")

    handler = probe.subscribe(fail, retry=Retry(times=3, first=20, cap=20, jitter=0))
    probe.shop.order()
    positions = probe.fan_out()
    probe.inside(handler, positions)
    probe.inside(handler, positions)
    assert len(attempts) == 1
    assert probe.deliveries()[0].attempts == 1


def test_success_at_the_third_attempt_is_one_effect_and_two_counted_failures(probe: Probe) -> None:
    attempts = []

    def third_time_lucky(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
        attempts.append(1)
        effect(placed, work)
        if len(attempts) < 3:
            raise OSError("not yet")

    probe.subscribe(third_time_lucky)
    order = probe.shop.order()
    probe.drain()
    (delivery,) = probe.deliveries()
    assert probe.effects() == [order.id]
    assert (delivery.state, delivery.attempts) == ("done", 2)


def test_what_fails_for_good_is_parked_with_its_traceback_and_harms_no_batch_mate(probe: Probe) -> None:
    orders = [probe.shop.order() for _ in range(4)]

    def refuses_one(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
        effect(placed, work)
        if orders[1].id in {order.order_id for order in placed}:
            raise ValueError("cannot handle this one")

    handler = probe.subscribe(refuses_one)
    probe.inside(handler, probe.fan_out())
    assert [delivery.alone for delivery in probe.deliveries()] == [True] * 4, "they came together"
    probe.drain()
    states = [(delivery.state, delivery.attempts) for delivery in probe.deliveries()]
    assert states == [("done", 0), ("parked", QUICK.times + 1), ("done", 0), ("done", 0)]
    assert sorted(probe.effects()) == sorted(order.id for i, order in enumerate(orders) if i != 1)
    assert "ValueError: cannot handle this one" in probe.deliveries()[1].error


def test_a_permanent_error_is_parked_at_once(probe: Probe) -> None:
    def refuse(_: Sequence[OrderPlaced], __: UnitOfWork) -> None:
        raise Permanent("never")

    probe.subscribe(refuse)
    probe.shop.order()
    probe.drain()
    (delivery,) = probe.deliveries()
    assert (delivery.state, delivery.attempts) == ("parked", 1)


def test_one_handlers_failure_leaves_the_others_alone(shop: Shop) -> None:
    def fail(_: Sequence[OrderPlaced], __: UnitOfWork) -> None:
        raise RuntimeError("analytics is broken")

    broken = Handler("analytics", False, {"OrderPlaced": Subscription("OrderPlaced", fail, False, Retry(times=0))})
    shop.registry = Registry({**shop.registry.handlers, "analytics": broken})
    order = shop.order()
    shop.drain()
    assert shop.status(order) == "delivered"
    (delivery,) = [d for d in shop.deliveries("analytics") if d.state == "parked" and d.error.count("broken")][:1]
    assert delivery.attempts == 1


def test_waiting_is_no_failure_and_is_not_counted(probe: Probe) -> None:
    def wait(_: Sequence[OrderPlaced], __: UnitOfWork) -> None:
        raise Wait(60)

    handler = probe.subscribe(wait)
    probe.shop.order()
    probe.inside(handler, probe.fan_out())
    (delivery,) = probe.deliveries()
    assert (delivery.state, delivery.attempts, delivery.error) == ("pending", 0, None)
    assert delivery.not_before > datetime.now(UTC) + timedelta(seconds=50)


def test_a_postponed_event_is_delivered_again_while_its_mates_are_done(probe: Probe) -> None:
    orders = [probe.shop.order() for _ in range(2)]

    def postpone_first(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
        effect(placed, work)
        for order in placed:
            if order.order_id == orders[0].id:
                work.postpone(order, datetime.now(UTC) + timedelta(hours=1))

    handler = probe.subscribe(postpone_first)
    probe.inside(handler, probe.fan_out())
    assert [delivery.state for delivery in probe.deliveries()] == ["pending", "done"]
    assert len(probe.effects()) == 2


def test_celery_holds_a_short_wait_of_a_single_event_if_its_handler_asks_for_a_retry(probe: Probe) -> None:
    def ask_again(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
        work.postpone(placed[0], datetime.now(UTC) + timedelta(seconds=5), by_retry=True)

    handler = probe.subscribe(ask_again)
    probe.shop.order()
    countdown = probe.inside(handler, probe.fan_out(), holds=True)
    (delivery,) = probe.deliveries()
    assert countdown is not None
    assert 4 < countdown <= 5
    assert (delivery.state, delivery.attempts, delivery.sends) == ("pending", 0, 1)
    assert delivery.dispatched_at is not None


def test_celery_is_asked_to_bring_a_single_failed_event_back_where_the_broker_can_hold_it(probe: Probe) -> None:
    def fail(_: Sequence[OrderPlaced], __: UnitOfWork) -> None:
        raise OSError("away")

    handler = probe.subscribe(fail, retry=Retry(times=3, first=7, cap=7, jitter=0))
    probe.shop.order()
    assert probe.inside(handler, probe.fan_out(), holds=True) == 7
    (delivery,) = probe.deliveries()
    assert delivery.dispatched_at is not None
    assert delivery.sends == 1


def test_an_event_that_cannot_be_read_is_parked_and_harms_no_other(probe: Probe) -> None:
    handler = probe.subscribe(effect)
    probe.shop.order()
    probe.shop.execute(
        "WITH e AS (INSERT INTO events (id, type, version, stream, sequence, data, correlation_id)"
        " VALUES (gen_random_uuid(), 'OrderPlaced', 2, 'order-x', 1, '{}', 'c') RETURNING position)"
        " INSERT INTO outbox SELECT position FROM e"
    )
    probe.inside(handler, probe.fan_out())
    assert [delivery.alone for delivery in probe.deliveries()] == [True, True], "they came together"
    probe.drain()
    assert [delivery.state for delivery in probe.deliveries()] == ["done", "parked"]


@pytest.fixture
def damaged(probe: Probe) -> str:
    """An order, whose id this gives, and a second event of it with a field that cannot be decrypted."""
    whole = probe.shop.order()
    probe.shop.execute(
        "WITH e AS (INSERT INTO events (id, type, version, stream, sequence, data, correlation_id)"
        " SELECT gen_random_uuid(), type, version, 'order-x', 1, data || jsonb_build_object('customer_name',"
        " CAST(:damaged AS text)), 'c' FROM events WHERE type = 'OrderPlaced' RETURNING position)"
        " INSERT INTO outbox SELECT position FROM e",
        damaged="enc:x",
    )
    return whole.id


def test_a_field_whose_encryption_is_damaged_is_parked_with_its_event_and_harms_no_other(
    probe: Probe, damaged: str
) -> None:
    handler = probe.subscribe(effect)
    probe.inside(handler, probe.fan_out())
    probe.drain()
    assert sorted(delivery.state for delivery in probe.deliveries()) == ["done", "parked"]
    assert probe.effects() == [damaged]


def test_nobody_outside_is_called_with_a_field_whose_encryption_is_damaged(probe: Probe, damaged: str) -> None:
    called: list[object] = []
    probe.subscribe(lambda event, _: called.append(event), outside=True)
    probe.drain()
    assert sorted(delivery.state for delivery in probe.deliveries()) == ["done", "parked"]
    assert [getattr(event, "order_id", None) for event in called] == [damaged]


def test_a_transaction_that_locks_tables_in_the_wrong_order_is_refused(shop: Shop) -> None:
    with shop.database.begin("order") as work:
        work.locks("orders")
        with pytest.raises(LockOrderError):
            work.locks("tickets")


def test_fifty_buyers_for_ten_units_get_exactly_ten(shop: Shop) -> None:
    shop.execute("UPDATE ingredients SET quantity = 600 WHERE id = 'salami'")  # ten diavolas of 60 g
    placed = [shop.order(Line(pizza="diavola", size="medium", quantity=1)) for _ in range(50)]
    outbox.fan_out(shop.database.engine, [])
    positions = [delivery.position for delivery in shop.deliveries("inventory")]
    handler = shop.registry.handlers["inventory"]

    def buy(mine: list[int]) -> None:
        for position in mine:
            InsideRunner(shop.database, catalogue, holds_countdowns=False).run(handler, [position])

    threads = [threading.Thread(target=buy, args=(positions[i::5],)) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    shop.drain()
    states = [shop.status(order) for order in placed]
    assert (states.count("delivered"), states.count("cancelled")) == (10, 40)
    assert shop.value("SELECT quantity FROM ingredients WHERE id = 'salami'") == 0


def test_a_database_that_goes_away_inside_a_handler_is_nobodys_attempt(probe: Probe) -> None:
    times: list[int] = []

    def cut_once(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
        times.append(1)
        effect(placed, work)
        if len(times) == 1:
            cut(work)

    handler = probe.subscribe(cut_once)
    order = probe.shop.order()
    positions = probe.fan_out()
    probe.inside(handler, positions)
    (delivery,) = probe.deliveries()
    assert probe.effects() == [order.id]
    assert (delivery.state, delivery.attempts, delivery.starts) == ("done", 0, 0)


def test_a_start_whose_counting_met_a_conflict_is_counted_before_the_handler_runs(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_start = deliveries.count_start
    tries: list[int] = []

    def meet_a_conflict(connection: Connection, handler: str, positions: Sequence[int]) -> list[int]:
        tries.append(len(positions))
        if len(tries) == 1:
            raise OperationalError("UPDATE", {}, DeadlockDetected())
        return count_start(connection, handler, positions)

    def handle(_: Sequence[OrderPlaced], work: UnitOfWork) -> None:
        starts.append(work.run("SELECT starts FROM deliveries").scalar_one())

    starts: list[int] = []
    handler = probe.subscribe(handle)
    probe.shop.order()
    positions = probe.fan_out()
    probe.shop.execute("UPDATE deliveries SET sends = 2")
    monkeypatch.setattr(deliveries, "count_start", meet_a_conflict)
    probe.inside(handler, positions)
    assert (len(tries), starts) == (2, [1])


def test_an_event_recorded_for_one_of_a_batch_names_that_one_as_its_cause(probe: Probe) -> None:
    def warn(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
        supplier = SupplierInfo(supplier_id="s", name="S", email="s@example.com", phone="+1555", lead_days=1)
        for number, order in enumerate(placed):
            low = InventoryLow(
                ingredient_id=f"i{number}",
                ingredient_name="I",
                current_quantity=1,
                minimum_threshold=2,
                supplier_info=supplier,
            )
            work.record(low, because=order)

    handler = probe.subscribe(warn)
    for _ in range(3):
        probe.shop.order()
    probe.inside(handler, probe.fan_out())
    rows = probe.shop.rows(
        "SELECT e.correlation_id AS mine, c.correlation_id AS causes, c.type FROM events e"
        " JOIN events c ON c.id = e.causation_id WHERE e.type = 'InventoryLow'"
    )
    assert len({row.causes for row in rows}) == 3
    assert all(row.mine == row.causes and row.type == "OrderPlaced" for row in rows)


@pytest.mark.parametrize("asks", [True, False])
def test_a_handler_sees_what_is_personal_only_if_it_asks(probe: Probe, asks: bool) -> None:
    seen: list[OrderPlaced] = []

    def look(placed: Sequence[OrderPlaced], _: UnitOfWork) -> None:
        seen.extend(placed)

    probe.subscribe(look, personal=asks)
    order = probe.shop.order()
    probe.drain()
    (placed,) = seen
    assert (placed.order_id, placed.customer_id) == (order.id, order.customer_id)
    assert placed.customer_name == (order.name if asks else None)
    assert placed.customer_phone == (order.phone if asks else None)
    assert placed.delivery_address == (order.address if asks else None)


def test_nothing_personal_is_decrypted_but_for_customers_suppliers_and_cards() -> None:
    asking = {handler.name for handler in registry().handlers.values() if handler.personal}
    assert asking == {"email", "payments", "sms"}
