"""The bus on a real database: retries, waiting, parking, duplicates, poison and what the broker loses."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.events import OrderPlaced, catalogue
from domain.kernel.unit_of_work import LockOrderError, UnitOfWork
from tasks.bus import inline, outbox, subscriptions, sweep
from tasks.bus.deliveries import MAX_STARTS
from tasks.bus.inside import InsideRunner
from tasks.bus.outside import OutsideRunner
from tasks.bus.registry import Answer, Call, Handler, Registry, Settle, Subscription
from tasks.bus.retry import Permanent, Retry, Wait
from tasks.bus.runner import patiently
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration

QUICK = Retry(times=3, first=0, cap=0)


class Probe:
    """A bus with one handler, `probe`, on OrderPlaced; its effect is a row in `effects`."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        shop.execute("CREATE TABLE effects (order_id text, what text)")

    def subscribe(
        self, function: Callable[..., Any], *, outside: bool = False, retry: Retry = QUICK, settle: Settle | None = None
    ) -> Handler:
        subscription = Subscription("OrderPlaced", function, outside, retry)
        handler = Handler("probe", outside, {"OrderPlaced": subscription}, settle)
        self.registry = Registry({"probe": handler})
        with self.shop.database.engine.begin() as connection:
            subscriptions.write(connection, self.registry)
        return handler

    def drain(self) -> None:
        inline.drain(self.shop.database, catalogue, self.registry)

    def fan_out(self) -> list[int]:
        """Make deliveries, send none; gives their positions."""
        outbox.fan_out(self.shop.database.engine, [])
        return [row.position for row in self.deliveries()]

    def deliveries(self) -> list[Any]:
        return self.shop.deliveries("probe")

    def effects(self) -> list[str]:
        return [row.order_id for row in self.shop.rows("SELECT order_id FROM effects")]

    def inside(self, handler: Handler, positions: Sequence[int], *, holds: bool = False) -> float | None:
        return InsideRunner(self.shop.database, catalogue, holds_countdowns=holds).run(handler, positions)

    def outside(self, handler: Handler, positions: Sequence[int], *, holds: bool = False) -> float | None:
        return OutsideRunner(self.shop.database, catalogue, holds_countdowns=holds).run(handler, positions)


@pytest.fixture
def probe(shop: Shop) -> Probe:
    return Probe(shop)


def effect(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
    for order in placed:
        work.run("INSERT INTO effects VALUES (:id, 'handled')", id=order.order_id)


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

    probe.subscribe(refuses_one)
    probe.drain()
    states = [delivery.state for delivery in probe.deliveries()]
    assert states == ["done", "parked", "done", "done"]
    assert sorted(probe.effects()) == sorted(order.id for i, order in enumerate(orders) if i != 1)
    parked = probe.deliveries()[1]
    assert "ValueError: cannot handle this one" in parked.error
    assert parked.attempts == QUICK.times + 1


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


def test_a_call_to_the_outside_keeps_its_key_over_all_attempts_and_its_answer(probe: Probe) -> None:
    calls: list[Call] = []

    def call(_: OrderPlaced, call: Call) -> str:
        calls.append(call)
        if len(calls) < 3:
            raise OSError("503")
        return "accepted"

    probe.subscribe(call, outside=True)
    probe.shop.order()
    probe.drain()
    (delivery,) = probe.deliveries()
    event_id = probe.shop.value("SELECT id FROM events WHERE type = 'OrderPlaced'")
    assert {c.key for c in calls} == {f"{event_id}:probe"}
    assert [c.attempt for c in calls] == [1, 2, 3]
    assert (delivery.state, delivery.result) == ("done", "accepted")


def test_the_settling_function_hears_of_every_answer_in_the_transaction_that_ends_the_delivery(probe: Probe) -> None:
    def settle(answers: Sequence[Answer], work: UnitOfWork) -> None:
        for answer in answers:
            work.run("INSERT INTO effects VALUES (:id, :state)", id=answer.call.key, state=answer.state)

    def fail(_: OrderPlaced, __: Call) -> None:
        raise OSError("503")

    probe.subscribe(fail, outside=True, settle=settle, retry=Retry(times=2, first=0, cap=0))
    probe.shop.order()
    probe.drain()
    told = [row.what for row in probe.shop.rows("SELECT what FROM effects")]
    assert told == ["failed", "failed", "parked"]


def test_what_one_worker_has_claimed_no_other_calls(probe: Probe) -> None:
    calls: list[str] = []

    def call(order: OrderPlaced, _: Call) -> None:
        calls.append(order.order_id)
        if len(calls) == 1:
            probe.outside(handler, positions)  # a second copy of the message comes while the first is at work

    handler = probe.subscribe(call, outside=True)
    probe.shop.order()
    positions = probe.fan_out()
    probe.outside(handler, positions)
    assert len(calls) == 1


def test_an_answer_is_not_written_down_once_the_claim_is_anothers(probe: Probe) -> None:
    def call(_: OrderPlaced, __: Call) -> str:
        probe.shop.execute("UPDATE deliveries SET claim = gen_random_uuid()")
        return "too late"

    handler = probe.subscribe(call, outside=True)
    probe.shop.order()
    probe.outside(handler, probe.fan_out())
    (delivery,) = probe.deliveries()
    assert (delivery.state, delivery.result) == ("pending", None)


@pytest.mark.parametrize("outside", [False, True])
def test_what_is_started_five_times_without_an_answer_is_parked_as_poison(probe: Probe, outside: bool) -> None:
    class KilledError(BaseException):
        """What no handler of errors sees, as a SIGKILL would be."""

    def kill(*_: Any) -> None:
        raise KilledError

    handler = probe.subscribe(kill, outside=outside)
    probe.shop.order()
    (position,) = probe.fan_out()
    run = probe.outside if outside else probe.inside
    for start in range(1, MAX_STARTS + 2):
        probe.shop.execute("UPDATE deliveries SET sends = :n, claimed_until = NULL, claim = NULL", n=start)
        try:
            run(handler, [position])
        except KilledError:
            assert start <= MAX_STARTS
    (delivery,) = probe.deliveries()
    assert delivery.state == "parked"
    assert "without an answer" in delivery.error
    assert delivery.alone


def test_a_message_is_lost_if_its_queue_was_seen_empty_since_and_its_lease_is_over(probe: Probe) -> None:
    probe.subscribe(effect)
    probe.shop.order()
    probe.fan_out()
    engine = probe.shop.database.engine
    now = datetime.now(UTC)
    age = (
        "UPDATE deliveries SET sends = 1, dispatched_at = now() - make_interval(secs => :s),"
        " not_before = now() - make_interval(secs => :s)"
    )

    probe.shop.execute(age, s=20)
    assert sweep.lost(engine, {"probe": now}) == {}, "within its lease"
    probe.shop.execute(age, s=60)
    assert sweep.lost(engine, {"probe": None}) == {}, "its queue was never seen empty: it is merely waiting"
    assert sweep.lost(engine, {"probe": now - timedelta(seconds=90)}) == {}, "empty before it was sent says nothing"
    assert sweep.lost(engine, {"probe": now}) == {"probe": 1}
    (delivery,) = probe.deliveries()
    assert delivery.dispatched_at is None


def test_a_message_is_lost_if_one_that_was_sent_later_is_done(probe: Probe) -> None:
    probe.subscribe(effect)
    for _ in range(2):
        probe.shop.order()
    first, second = probe.fan_out()
    sent = (
        "UPDATE deliveries SET sends = 1, dispatched_at = now() - make_interval(secs => :s),"
        " not_before = now() - make_interval(secs => :s) WHERE position = :p"
    )
    probe.shop.execute(sent, s=90, p=first)
    probe.shop.execute(sent, s=60, p=second)
    assert sweep.lost(probe.shop.database.engine, {"probe": None}) == {}
    probe.shop.execute("UPDATE deliveries SET state = 'done' WHERE position = :p", p=second)
    assert sweep.lost(probe.shop.database.engine, {"probe": None}) == {"probe": 1}
    assert [delivery.dispatched_at is None for delivery in probe.deliveries()] == [True, False]


def test_what_is_being_worked_on_is_never_taken_for_lost(probe: Probe) -> None:
    probe.subscribe(effect)
    probe.shop.order()
    probe.fan_out()
    probe.shop.execute(
        "UPDATE deliveries SET sends = 1, dispatched_at = now() - interval '60 s', not_before = now() - interval '60 s'"
    )
    with probe.shop.database.engine.begin() as working:
        working.execute(text("SELECT * FROM deliveries FOR UPDATE"))
        assert sweep.lost(probe.shop.database.engine, {"probe": datetime.now(UTC)}) == {}
    probe.shop.execute("UPDATE deliveries SET claimed_until = now() + interval '10 s'")
    assert sweep.lost(probe.shop.database.engine, {"probe": datetime.now(UTC)}) == {}


def test_several_relays_at_once_fan_every_event_out_exactly_once(shop: Shop) -> None:
    for _ in range(30):
        shop.order()
    together = threading.Barrier(3, timeout=10)
    fanned: list[int] = []

    def relay() -> None:
        together.wait()
        announced, _ = outbox.fan_out(shop.database.engine, [])
        fanned.append(len(announced))

    threads = [threading.Thread(target=relay) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sum(fanned) == 30
    assert shop.value("SELECT count(*) FROM deliveries WHERE handler = 'kitchen'") == 30


def test_a_handler_that_was_removed_has_its_deliveries_parked(probe: Probe) -> None:
    probe.subscribe(effect)
    probe.shop.order()
    probe.fan_out()
    probe.shop.execute("DELETE FROM subscriptions")
    outbox.park_orphans(probe.shop.database.engine)
    (delivery,) = probe.deliveries()
    assert (delivery.state, delivery.error) == ("parked", "Its handler was removed.")


def test_an_event_that_cannot_be_read_is_parked_and_harms_no_other(probe: Probe) -> None:
    probe.subscribe(effect)
    probe.shop.order()
    probe.shop.execute(
        "WITH e AS (INSERT INTO events (id, type, version, stream, sequence, data, correlation_id)"
        " VALUES (gen_random_uuid(), 'OrderPlaced', 2, 'order-x', 1, '{}', 'c') RETURNING position)"
        " INSERT INTO outbox SELECT position FROM e"
    )
    probe.drain()
    assert [delivery.state for delivery in probe.deliveries()] == ["done", "parked"]


def test_a_transaction_that_locks_tables_in_the_wrong_order_is_refused(shop: Shop) -> None:
    with shop.database.begin("order") as work:
        work.locks("orders")
        with pytest.raises(LockOrderError):
            work.locks("tickets")


def test_fifty_buyers_for_ten_units_get_exactly_ten(shop: Shop) -> None:
    shop.execute("UPDATE ingredients SET quantity = 600 WHERE id = 'salami'")  # ten diavolas of 60 g
    from domain.basket import Line

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


def cut(work: UnitOfWork) -> None:
    """Lose the connection to the database, as at a restart."""
    work.run("SELECT pg_terminate_backend(pg_backend_pid())")


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
    patiently(lambda: probe.inside(handler, positions))
    (delivery,) = probe.deliveries()
    assert probe.effects() == [order.id]
    assert (delivery.state, delivery.attempts, delivery.starts) == ("done", 0, 0)


def test_a_database_that_goes_away_after_a_call_has_the_answer_kept_and_no_call_repeated(probe: Probe) -> None:
    calls: list[str] = []
    settled: list[int] = []

    def call(order: OrderPlaced, _: Call) -> str:
        calls.append(order.order_id)
        return "accepted"

    def settle(answers: Sequence[Answer], work: UnitOfWork) -> None:
        settled.append(len(answers))
        if len(settled) == 1:
            cut(work)

    handler = probe.subscribe(call, outside=True, settle=settle)
    for _ in range(3):
        probe.shop.order()
    probe.outside(handler, probe.fan_out())
    assert len(calls) == 3
    assert [delivery.state for delivery in probe.deliveries()] == ["done"] * 3


def test_an_answer_that_cannot_be_settled_is_parked_and_its_mates_are_done_without_a_second_call(probe: Probe) -> None:
    calls: list[str] = []

    def call(order: OrderPlaced, _: Call) -> None:
        calls.append(order.order_id)

    def settle(answers: Sequence[Answer], _: UnitOfWork) -> None:
        if any(answer.event.identity == calls[1] for answer in answers):
            raise ValueError("cannot write this one down")

    handler = probe.subscribe(call, outside=True, settle=settle)
    for _ in range(3):
        probe.shop.order()
    probe.outside(handler, probe.fan_out())
    assert len(calls) == 3
    assert [delivery.state for delivery in probe.deliveries()] == ["done", "parked", "done"]


def test_a_message_that_the_broker_hands_out_again_is_a_counted_start(probe: Probe) -> None:
    class KilledError(BaseException):
        """What no handler of errors sees, as a SIGKILL would be."""

    def kill(*_: Any) -> None:
        raise KilledError

    handler = probe.subscribe(kill)
    probe.shop.order()
    (position,) = probe.fan_out()
    runner = InsideRunner(probe.shop.database, catalogue, holds_countdowns=False)
    with pytest.raises(KilledError):
        runner.run(handler, [position])
    assert probe.deliveries()[0].starts == 0, "the first start pays nothing"
    with pytest.raises(KilledError):
        runner.run(handler, [position], started_before=True)
    assert probe.deliveries()[0].starts == 1


def test_an_event_recorded_for_one_of_a_batch_names_that_one_as_its_cause(probe: Probe) -> None:
    from domain.events import InventoryLow, SupplierInfo

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
