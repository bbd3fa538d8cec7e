"""Deliveries that were started without an answer: each start is counted once, and poison is parked by itself."""

import contextlib
from collections.abc import Sequence
from typing import Any

import pytest

from domain.events import OrderPlaced, catalogue
from domain.kernel.unit_of_work import UnitOfWork
from tasks.bus.deliveries import MAX_STARTS
from tasks.bus.inside import InsideRunner
from tests.integration.probe import KilledError, Probe, cut, effect

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("outside", [False, True])
def test_what_is_started_five_times_without_an_answer_is_parked_as_poison(probe: Probe, outside: bool) -> None:
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


def test_a_database_that_goes_away_again_and_again_is_one_start_of_a_message_that_was_sent_before(probe: Probe) -> None:
    times: list[int] = []

    def cut_often(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
        times.append(1)
        effect(placed, work)
        if len(times) < MAX_STARTS + 2:
            cut(work)

    handler = probe.subscribe(cut_often)
    probe.shop.order()
    positions = probe.fan_out()
    probe.shop.execute("UPDATE deliveries SET sends = 2")
    probe.inside(handler, positions)
    (delivery,) = probe.deliveries()
    assert (delivery.state, delivery.attempts, delivery.starts) == ("done", 0, 1)


def test_a_message_that_the_broker_hands_out_again_is_a_counted_start(probe: Probe) -> None:
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


def test_poison_that_kills_its_worker_in_a_batch_is_parked_and_harms_no_batch_mate(probe: Probe) -> None:
    orders = [probe.shop.order() for _ in range(3)]

    def kill(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
        effect(placed, work)
        if orders[1].id in {order.order_id for order in placed}:
            raise KilledError

    handler = probe.subscribe(kill)
    positions = probe.fan_out()
    runner = InsideRunner(probe.shop.database, catalogue, holds_countdowns=False)

    def deliver(message: list[int]) -> None:
        """Deliver a message as the broker does: again and again until somebody has lived to acknowledge it."""
        for again in (False, *[True] * MAX_STARTS):
            with contextlib.suppress(KilledError):
                runner.run(handler, message, started_before=again)
                return
        pytest.fail(f"The message {message} was never acknowledged.")

    deliver(positions)
    assert [(d.state, d.alone, d.dispatched_at) for d in probe.deliveries()] == [("pending", True, None)] * 3
    for position in positions:
        deliver([position])
    assert [delivery.state for delivery in probe.deliveries()] == ["done", "parked", "done"]
    assert sorted(probe.effects()) == sorted([orders[0].id, orders[2].id])
