"""Finished deliveries are let go of after a while; what is not finished, and every event, stays."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from domain.events import catalogue
from domain.kernel import invariant
from tasks.bus import retention
from tasks.bus.inline import InlineBroker
from tasks.bus.invariants import INVARIANTS
from tasks.bus.relay import Relay
from tests.integration.conftest import Shop
from tests.integration.probe import Probe, effect

pytestmark = pytest.mark.integration

LONG = timedelta(days=30)


def purge(shop: Shop, keep: timedelta = timedelta()) -> int:
    return retention.purge(shop.database.engine, keep)


def violations(shop: Shop) -> list[str]:
    with shop.database.read() as connection:
        return [row for one in INVARIANTS for row in invariant.attempt(connection, one).examples]


def test_finished_deliveries_go_when_their_event_is_old_enough_and_events_stay(shop: Shop) -> None:
    shop.order()
    shop.drain()
    events = shop.value("SELECT count(*) FROM events")
    finished = shop.value("SELECT count(*) FROM deliveries WHERE state = 'done'")
    assert purge(shop, LONG) == 0
    assert purge(shop) == finished > 0
    assert purge(shop) == 0
    assert shop.value("SELECT count(*) FROM events") == events
    assert violations(shop) == []


def test_it_goes_in_small_steps(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "EVENTS_AT_ONCE", 4)
    for _ in range(2):
        shop.order()
    shop.drain()
    steps = 0
    while purge(shop):
        steps += 1
        assert violations(shop) == []
    assert steps >= 3
    assert shop.value("SELECT count(*) FROM deliveries WHERE state = 'done'") == 0


def test_what_is_pending_parked_or_discarded_stays_however_old_it_is(probe: Probe) -> None:
    probe.subscribe(effect)
    for _ in range(4):
        probe.shop.order()
    done, parked, discarded, pending = probe.fan_out()
    probe.shop.execute("UPDATE deliveries SET state = 'done', done_at = now() WHERE position = :p", p=done)
    for position, state in ((parked, "parked"), (discarded, "discarded")):
        probe.shop.execute(
            "UPDATE deliveries SET state = :state, done_at = now(), error = 'x' WHERE position = :p",
            p=position,
            state=state,
        )
    assert purge(probe.shop) == 1
    assert [row.position for row in probe.deliveries()] == [parked, discarded, pending]
    probe.drain()
    assert [row.state for row in probe.deliveries()] == ["parked", "discarded", "done"]


def test_a_message_about_what_is_gone_does_nothing(probe: Probe) -> None:
    handler = probe.subscribe(effect)
    probe.shop.order()
    probe.drain()
    (row,) = probe.deliveries()
    purge(probe.shop)
    probe.inside(handler, [row.position])
    assert len(probe.effects()) == 1


def test_of_two_relays_one_purges(shop: Shop) -> None:
    shop.order()
    shop.drain()
    with shop.database.engine.begin() as other:
        other.execute(text("SELECT purged_to FROM retention FOR UPDATE"))
        assert purge(shop) == 0
    assert purge(shop) > 0


def test_a_relay_purges_as_it_goes(shop: Shop) -> None:
    shop.order()
    shop.drain()
    broker = InlineBroker(shop.database, catalogue, shop.registry)
    relay = Relay(shop.database, broker, lambda _: None, lambda: None, keep=timedelta())
    relay.turn()
    assert shop.value("SELECT count(*) FROM deliveries WHERE state = 'done'") == 0
