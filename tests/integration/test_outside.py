"""Calls to the outside: claimed, keyed, and written down where the claim still holds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from domain.events import OrderPlaced, catalogue
from domain.kernel.event import Recorded
from domain.kernel.unit_of_work import UnitOfWork
from tasks.bus import deliveries, outside
from tasks.bus.outside import OutsideRunner
from tasks.bus.registry import Answer, Call, Registry
from tasks.bus.retry import Permanent, Retry, Wait
from tests.integration.probe import QUICK, Probe, cut

pytestmark = pytest.mark.integration


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


def test_a_call_that_finds_our_own_database_away_is_made_later_and_is_no_attempt(probe: Probe) -> None:
    calls: list[Call] = []

    def call(_: OrderPlaced, call: Call) -> str:
        calls.append(call)
        if len(calls) == 1:
            raise OperationalError("SELECT", {}, psycopg.OperationalError("away"), connection_invalidated=True)
        return "accepted"

    probe.subscribe(call, outside=True)
    probe.shop.order()
    probe.drain()
    assert [delivery.state for delivery in probe.deliveries()] == ["pending"]
    probe.shop.execute("UPDATE deliveries SET not_before = now()")
    probe.drain()
    assert [c.attempt for c in calls] == [1, 1]
    assert [delivery.state for delivery in probe.deliveries()] == ["done"]


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


def test_a_call_that_is_held_back_is_not_made_and_done_with_the_reason_and_its_mates_are_called(probe: Probe) -> None:
    called: list[str] = []
    asked: list[int] = []

    def call(order: OrderPlaced, _: Call) -> str:
        called.append(order.order_id)
        return "called"

    def hold_back(due: Sequence[tuple[Recorded[Any], Call]], _: Connection) -> Mapping[str, str]:
        asked.append(len(due))
        assert probe.shop.rows("SELECT 1 FROM deliveries FOR UPDATE SKIP LOCKED") == []
        return {call.key: "not today" for event, call in due if event.event.order_id == first.id}

    def settle(answers: Sequence[Answer], work: UnitOfWork) -> None:
        for answer in answers:
            work.run("INSERT INTO effects VALUES (:state, :result)", state=answer.state, result=answer.result)

    handler = replace(probe.subscribe(call, outside=True, settle=settle), hold_back=hold_back)
    first, second = probe.shop.order(), probe.shop.order()
    probe.outside(handler, probe.fan_out())
    assert (asked, called) == ([2], [second.id])
    assert {(row.state, row.result, row.attempts) for row in probe.deliveries()} == {
        ("done", "not today", 0),
        ("done", "called", 0),
    }
    told = {(row.order_id, row.what) for row in probe.shop.rows("SELECT * FROM effects")}
    assert told == {("held back", "not today"), ("done", "called")}


def test_calls_that_are_to_wait_are_postponed_by_one_statement_unclaimed_and_uncounted(probe: Probe) -> None:
    called: list[str] = []

    def call(order: OrderPlaced, _: Call) -> None:
        called.append(order.order_id)

    def hold_back(due: Sequence[tuple[Recorded[Any], Call]], _: Connection) -> Mapping[str, Wait]:
        return {call.key: Wait(60) for event, call in due if event.event.order_id != ready.id}

    handler = replace(probe.subscribe(call, outside=True), hold_back=hold_back)
    ready, *_ = (probe.shop.order() for _ in range(20))
    positions = probe.fan_out()
    with probe.shop.statements() as seen:
        probe.outside(handler, positions)
    assert called == [ready.id]
    assert len([statement for statement in seen if "not_before = " in statement]) == 1
    done, *waiting = probe.deliveries()
    assert done.state == "done"
    assert {(row.state, row.attempts, row.claim, row.dispatched_at) for row in waiting} == {("pending", 0, None, None)}
    late = probe.shop.value("SELECT min(not_before - now()) FROM deliveries WHERE state = 'pending'")
    assert timedelta(seconds=50) < late <= timedelta(seconds=60)


def test_who_cannot_be_asked_what_to_hold_back_is_a_failed_attempt_of_one_alone_and_parked_in_the_end(
    probe: Probe,
) -> None:
    called: list[str] = []
    told: list[tuple[str, int]] = []

    def call(order: OrderPlaced, _: Call) -> None:
        called.append(order.order_id)

    def hold_back(due: Sequence[tuple[Recorded[Any], Call]], connection: Connection) -> Mapping[str, str]:
        if any(event.event.order_id == poison.id for event, _ in due):
            connection.execute(text("SELECT 1 / 0"))
        return {}

    def settle(answers: Sequence[Answer], _: UnitOfWork) -> None:
        told.extend((answer.state, answer.call.attempt) for answer in answers)

    handler = replace(probe.subscribe(call, outside=True, settle=settle), hold_back=hold_back)
    probe.registry = Registry({"probe": handler})
    poison, good = probe.shop.order(), probe.shop.order()
    probe.outside(handler, probe.fan_out())
    assert {(row.state, row.alone, row.attempts) for row in probe.deliveries()} == {("pending", True, 0)}
    probe.drain()
    parked, done = probe.deliveries()
    assert called == [good.id]
    assert (done.state, parked.state, parked.attempts) == ("done", "parked", QUICK.times + 1)
    assert "Traceback" in parked.error and "DivisionByZero" in parked.error
    failed = [answer for answer in told if answer[0] != "done"]
    assert failed == [("failed", 1), ("failed", 2), ("failed", 3), ("parked", 4)]


def test_a_claim_that_holds_nothing_back_costs_as_many_statements_as_one_that_is_not_asked(probe: Probe) -> None:
    handler = probe.subscribe(lambda *_: None, outside=True)
    numbers = []
    for asked in (handler, replace(handler, hold_back=lambda *_: {})):
        probe.shop.order()
        *_, position = probe.fan_out()
        with probe.shop.statements() as seen:
            OutsideRunner(probe.shop.database, catalogue, holds_countdowns=False).run(asked, [position])
        numbers.append(len(seen))
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize("error", [Wait(60), OSError("503"), Permanent("no")])
def test_what_comes_of_many_calls_alike_is_written_down_by_one_statement(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(outside, "FLUSH_AFTER", 60)

    def call(_: OrderPlaced, __: Call) -> None:
        raise error.with_traceback(None)

    handler = probe.subscribe(call, outside=True, retry=Retry(first=60, cap=60, jitter=0))
    for _ in range(20):
        probe.shop.order()
    positions = probe.fan_out()
    with probe.shop.statements() as seen:
        probe.outside(handler, positions)
    assert len([statement for statement in seen if "UPDATE deliveries" in statement]) == 2, "the claim and one more"
    assert len({(row.state, row.attempts, row.claim, row.error, row.not_before) for row in probe.deliveries()}) <= 2
    assert {row.attempts for row in probe.deliveries()} == {0 if isinstance(error, Wait) else 1}


def test_the_settling_function_hears_of_a_call_that_waits_too(probe: Probe) -> None:
    def settle(answers: Sequence[Answer], work: UnitOfWork) -> None:
        for answer in answers:
            work.run("INSERT INTO effects VALUES (:draft, :state)", draft=answer.call.draft, state=answer.state)

    def wait(_: OrderPlaced, call: Call) -> None:
        call.draft = "half of it was told"
        raise Wait(60)

    probe.subscribe(wait, outside=True, settle=settle)
    probe.shop.order()
    probe.drain()
    assert [tuple(row) for row in probe.shop.rows("SELECT * FROM effects")] == [("half of it was told", "waiting")]


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


def test_a_claim_that_the_database_lost_is_made_again_and_its_start_counted_once(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    tokens: list[UUID] = []
    claim = deliveries.claim

    def lose_the_first(connection: Connection, handler: str, positions: Sequence[int], token: UUID) -> None:
        claim(connection, handler, positions, token)
        tokens.append(token)
        if len(tokens) == 1:
            raise OperationalError("UPDATE", {}, psycopg.OperationalError("away"), connection_invalidated=True)

    def call(order: OrderPlaced, _: Call) -> None:
        calls.append(order.order_id)

    handler = probe.subscribe(call, outside=True)
    order = probe.shop.order()
    positions = probe.fan_out()
    probe.shop.execute("UPDATE deliveries SET sends = 2")
    monkeypatch.setattr(deliveries, "claim", lose_the_first)
    probe.outside(handler, positions)
    (delivery,) = probe.deliveries()
    assert (calls, len(tokens), len(set(tokens))) == ([order.id], 2, 1)
    assert (delivery.state, delivery.starts) == ("done", 1)


@pytest.mark.parametrize("fails", [False, True])
def test_an_answer_is_not_written_down_once_the_claim_is_anothers(probe: Probe, fails: bool) -> None:
    def call(_: OrderPlaced, __: Call) -> str:
        probe.shop.execute("UPDATE deliveries SET claim = gen_random_uuid()")
        if fails:
            raise OSError("503")
        return "too late"

    handler = probe.subscribe(call, outside=True)
    probe.shop.order()
    probe.outside(handler, probe.fan_out())
    (delivery,) = probe.deliveries()
    assert (delivery.state, delivery.result, delivery.attempts) == ("pending", None, 0)


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
