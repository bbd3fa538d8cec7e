"""What the broker lost is found, what merely waits is left alone, and relays share the work."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from domain.database import ADVISORY_LOCKS
from domain.events import OrderPlaced
from domain.kernel.unit_of_work import UnitOfWork
from tasks.bus import outbox, sweep
from tasks.bus.retry import Retry
from tests.integration.conftest import Shop
from tests.integration.probe import Probe, effect

pytestmark = pytest.mark.integration


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


def test_a_retry_that_the_broker_held_and_lost_is_sent_again(probe: Probe) -> None:
    def fail(_: Sequence[OrderPlaced], __: UnitOfWork) -> None:
        raise OSError("away")

    handler = probe.subscribe(fail, retry=Retry(times=3, first=7, cap=7, jitter=0))
    probe.shop.order()
    positions = probe.fan_out()
    engine = probe.shop.database.engine
    assert probe.inside(handler, positions, holds=True) == 7
    assert sweep.lost(engine, {"probe": datetime.now(UTC)}) == {}, "it waits for its time, and has its lease then"
    probe.shop.execute(
        "UPDATE deliveries SET dispatched_at = dispatched_at - interval '60 s',"
        " not_before = not_before - interval '60 s'"
    )
    assert sweep.lost(engine, {"probe": datetime.now(UTC)}) == {"probe": 1}


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


def test_the_sweep_goes_on_while_the_shop_holds_every_lock_of_its_own(probe: Probe) -> None:
    assert len(set(ADVISORY_LOCKS.values())) == len(ADVISORY_LOCKS)
    probe.subscribe(effect)
    probe.shop.order()
    probe.fan_out()
    probe.shop.execute(
        "UPDATE deliveries SET sends = 1, dispatched_at = now() - interval '60 s', not_before = now() - interval '60 s'"
    )
    with probe.shop.database.engine.begin() as holding:
        for key in ADVISORY_LOCKS.values():
            holding.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        assert sweep.lost(probe.shop.database.engine, {"probe": datetime.now(UTC)}) == {"probe": 1}


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
