"""A Friday as `pizzeria simulate --day` plans it, what happens beside its orders, and how its sums are compared."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from domain.settings import Settings
from tasks.simulation import agenda, regrets
from tasks.simulation.agenda import Agenda, Doing
from tasks.simulation.day import ARRIVALS, CARDS, plan, strains
from tasks.simulation.placing import Placed
from tasks.simulation.regrets import Regret
from tasks.simulation.shop import NoAnswer, Shop
from tasks.simulation.takings import Clock, Entry, Span, Takings, by_journal, differences

pytestmark = pytest.mark.unit

MENU = {
    "toppings": [{"id": "olives"}],
    "pizzas": [
        {"id": "margherita", "sold_out": False, "prices": {"small": "8.00", "large": "13.00"}},
        {"id": "diavola", "sold_out": False, "prices": {"small": "9.00"}},
    ],
}
HOUR = timedelta(hours=1)
BEGAN = datetime(2026, 11, 27, 9, tzinfo=UTC)


def test_the_same_seed_makes_the_same_day_and_another_seed_another() -> None:
    assert plan(MENU, 100, 7) == plan(MENU, 100, 7) != plan(MENU, 100, 8)


def test_guests_come_by_the_curve_with_the_rush_at_eight() -> None:
    guests = plan(MENU, 10_000, 1).guests
    came = Counter(guest.at // HOUR for guest in guests)
    assert list(guests) == sorted(guests, key=lambda guest: guest.at)
    assert sum(ARRIVALS.values()) == sum(CARDS.values()) == 100
    assert max(came, key=lambda hour: came[hour]) == 20
    assert {hour: round(number / 100) for hour, number in came.items()} == pytest.approx(ARRIVALS, abs=1)


def test_orders_differ_as_orders_do() -> None:
    guests = plan(MENU, 2000, 1).guests
    bodies = [guest.body for guest in guests]
    share: dict[str, float] = {
        "pickup": sum(body["fulfilment"] == "pickup" for body in bodies) / 2000,
        "card": sum(body["payment"] == "card" for body in bodies) / 2000,
        "note": sum("note" in body for body in bodies) / 2000,
        "regret": sum(guest.regrets is not None for guest in guests) / 2000,
        "new": len({body["customer"]["phone"] for body in bodies}) / 2000,
    }
    assert share == pytest.approx({"pickup": 0.25, "card": 0.55, "note": 0.15, "regret": 0.06, "new": 0.7}, abs=0.04)
    assert {body["card_token"] for body in bodies if body["payment"] == "card"} == set(CARDS)
    assert all(("card_token" in body) == (body["payment"] == "card") for body in bodies)
    assert max(line["quantity"] for body in bodies for line in body["items"]) > 5
    homes: dict[str, set[str]] = {}
    for body in bodies:
        homes.setdefault(body["customer"]["phone"], set()).update({body["address"]} if "address" in body else ())
    assert max(len(addresses) for addresses in homes.values()) == 1


@pytest.mark.parametrize("seed", range(20))
def test_every_day_has_a_sick_driver_an_oven_out_and_no_texts_for_a_while(seed: int) -> None:
    faults = {fault.kind: fault for fault in plan(MENU, 1, seed).faults}
    assert set(faults) == {"driver", "oven", "sms"}
    assert faults["driver"].ends is None and 16 * HOUR <= faults["driver"].begins <= 19 * HOUR
    for kind in ("oven", "sms"):
        begins, ends = faults[kind].begins, faults[kind].ends
        assert ends and ends - begins == timedelta(minutes=20)
        assert 12 * HOUR <= begins < ends < 22 * HOUR


def test_settings_that_make_a_day_last_too_long_are_said() -> None:
    day = plan(MENU, 600, 1)
    slow = Settings(drivers=3, drive_seconds=10, oven_capacity=5, bake_seconds=10)
    drivers, oven = strains(day, 60, slow)
    assert "3 drivers" in drivers and "PIZZERIA_DRIVERS" in drivers
    assert "PIZZERIA_OVEN_CAPACITY" in oven
    assert not list(strains(day, 60, Settings(drivers=30, drive_seconds=15, oven_capacity=30, bake_seconds=8)))


def test_the_played_clock_counts_from_the_first_order() -> None:
    clock = Clock(BEGAN, timedelta(hours=11, minutes=30), 60)
    assert clock.shows(0) == "Fri 11:30"
    assert clock.shows(35 * 60 / 60) == "Fri 12:05"
    assert clock.shows(10_000) == "Fri 23:59"


def test_an_hour_of_the_played_day_is_a_span_of_the_real_one() -> None:
    clock = Clock(BEGAN, timedelta(hours=11, minutes=30), 60)
    whole, *hours = clock.spans(BEGAN + timedelta(seconds=95))
    assert (whole.begin, whole.end) == (BEGAN, BEGAN + timedelta(seconds=95, microseconds=1))
    assert [(span.name, (span.end - span.begin).total_seconds()) for span in hours] == [
        ("11:00", 30),
        ("12:00", 60),
        ("13:00", 5.000001),
    ]
    assert [span.begin for span in hours[1:]] == [span.end for span in hours[:-1]]


def entry(seconds: float, status: str = "delivered", total: str = "10.00", pizzas: int = 1) -> Entry:
    return Entry(BEGAN + timedelta(seconds=seconds), status, pizzas, Decimal(total))


def test_the_journal_adds_up_what_was_placed_within_a_span() -> None:
    span = Span("20:00", BEGAN, BEGAN + timedelta(seconds=60))
    entries = [entry(-1), entry(0, total="12.50", pizzas=3), entry(59), entry(59, "cancelled", "7.25"), entry(60)]
    assert by_journal(entries, span) == Takings(3, 2, 4, Decimal("22.50"), 1, Decimal("7.25"))


def test_what_the_figures_count_otherwise_is_said_to_the_cent() -> None:
    span = Span("20:00", BEGAN, BEGAN + timedelta(seconds=60))
    said = Takings(3, 2, 4, Decimal("22.50"), 1, Decimal("7.25"))
    assert not list(differences(span, said, Takings(3, 2, 4, Decimal("22.5"), 1, Decimal("7.25"))))
    assert list(differences(span, said, Takings(4, 2, 4, Decimal("22.51"), 1, Decimal("7.25")))) == [
        "20:00: placed 4 by the shop's figures, 3 by those who ordered.",
        "20:00: sales 22.51 by the shop's figures, 22.50 by those who ordered.",
    ]


def nothing() -> None:
    pass


def test_an_agenda_does_everything_in_its_order_before_its_block_is_over() -> None:
    done: list[str] = []
    plan = [Doing(0.1, lambda _: done.append("late")), Doing(-5, lambda _: done.append("early"))]
    with Agenda(plan, nothing):
        done.append("beside")
    assert sorted(done[:2]) == ["beside", "early"] and done[2:] == ["late"]


def test_an_agenda_ticks_until_its_block_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agenda, "_TICK", 0.01)
    ticked = threading.Event()
    with Agenda([], ticked.set):
        assert ticked.wait(30)


def test_an_agenda_ends_at_once_where_its_block_fails() -> None:
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Agenda([Doing(60, lambda _: None)], nothing):
        raise KeyboardInterrupt
    assert time.monotonic() - started < 30


def test_what_fails_on_an_agenda_fails_its_block() -> None:
    def fail(_: threading.Event) -> None:
        raise ValueError("the oven is not there")

    with pytest.raises(ValueError, match="the oven is not there"), Agenda([Doing(0, fail)], nothing):
        pass


class Cancelling(Shop):
    """Answers each cancellation as it is told to."""

    def __init__(self, *answers: int) -> None:
        super().__init__("http://127.0.0.1:1")
        self.answers = list(answers)

    def cancel(self, order_id: str, patience: float) -> httpx.Response:
        status = self.answers.pop(0)
        if status == 503:
            raise NoAnswer("The shop does not answer (503).")
        return httpx.Response(status)


@pytest.fixture
def regret() -> Callable[..., Regret]:
    def act(*answers: int, **order: Any) -> Regret:
        with_order = Placed({}, "key", id=order.pop("id", "0123"))
        for name, value in order.items():
            setattr(with_order, name, value)
        one = Regret(Cancelling(*answers), with_order)
        one.act(threading.Event())
        one.shop.close()
        return one

    return act


@pytest.mark.parametrize(
    ("answers", "answer"), [((200,), "cancelled"), ((409,), "too late"), ((503, 503, 200), "cancelled")]
)
def test_a_customer_cancels_until_there_is_an_answer(
    regret: Callable[..., Regret], answers: tuple[int, ...], answer: str
) -> None:
    assert (regret(*answers).answer, regret(*answers).problem) == (answer, None)


def test_an_answer_that_says_nothing_and_none_at_all_are_problems(
    regret: Callable[..., Regret], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert regret(404).problem == "cancelling was answered with 404"
    monkeypatch.setattr(regrets, "PATIENCE", 0)
    assert regret(503).problem == "The shop does not answer (503)."


@pytest.mark.parametrize("trouble", [{"sold_out": True}, {"problem": "refused with 422"}])
def test_who_could_not_order_does_not_cancel(regret: Callable[..., Regret], trouble: dict[str, Any]) -> None:
    one = regret(id=None, **trouble)
    assert (one.answer, one.problem) == (None, None)
