"""Loyalty points: earned once for each delivered order, and given away in one transaction, whoever else is at it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from domain import loyalty
from domain.basket import Line
from domain.customers import Contact
from domain.invariants.loyalty import LOYALTY
from domain.kernel.failpoint import FailPoint
from domain.kernel.invariant import attempt
from domain.kernel.unit_of_work import UnitOfWork
from domain.loyalty import Transfer, Transferred
from tests.integration.conftest import Shop
from tests.integration.model import slate
from tests.integration.probe import KilledError
from tests.integration.test_races import Second

pytestmark = pytest.mark.integration


def balances(shop: Shop) -> dict[str, int]:
    return {row.customer_id: row.points for row in shop.rows("SELECT customer_id, points FROM loyalty_balances")}


def holds(shop: Shop) -> None:
    with shop.database.read() as connection:
        found = [attempt(connection, invariant) for invariant in LOYALTY]
    assert [(finding.invariant.title, finding.examples) for finding in found if finding.violations] == []


def add_customer(shop: Shop, number: int, points: int = 0) -> str:
    """Add somebody, with points that an order once earned."""
    customer = f"{number:032x}"
    shop.execute(
        "INSERT INTO customers (id, phone, name, created_at) VALUES (:id, :phone, 'Guest', now())",
        id=customer,
        phone=f"+1555020{number:04}",
    )
    if points:
        shop.execute("INSERT INTO loyalty_balances VALUES (:id, :points)", id=customer, points=points)
        shop.execute(
            "INSERT INTO loyalty_entries (customer_id, reason, about, points, at)"
            " VALUES (:id, 'received', :id, :points, now())",
            id=customer,
            points=points,
        )
    return customer


def give(shop: Shop, sender: str, recipient: str, points: int, key: str | None = None) -> tuple[Transferred, bool]:
    with shop.database.begin("test") as work:
        return loyalty.transfer(work, Transfer(sender, recipient, points, "staff:ada", key))


@pytest.fixture
def three(shop: Shop) -> tuple[str, str, str]:
    """Three customers: one with 100 points, one with 40, one with none yet."""
    return add_customer(shop, 1, 100), add_customer(shop, 2, 40), add_customer(shop, 3)


def test_a_delivered_order_earns_a_point_for_each_whole_unit_of_its_total(shop: Shop) -> None:
    order = shop.order(Line(pizza="marinara", size="small", quantity=3))  # 21.60
    other = shop.order(contact=Contact("Grace", "+15550100002"))
    shop.drain()
    assert balances(shop) == {order.customer_id: 21, other.customer_id: int(other.total)}
    with shop.database.read() as connection:
        (entry,) = loyalty.entries(connection, order.customer_id)
    assert (entry.reason, entry.about, entry.points) == ("earned", order.id, 21)
    holds(shop)


def test_orders_of_one_customer_in_one_batch_add_up_and_an_order_earns_once(shop: Shop) -> None:
    orders = [shop.order() for _ in range(3)]
    shop.drain()
    with shop.database.begin("again") as work:
        loyalty.earn(work, [orders[0].id, orders[0].id, orders[1].id])
    assert balances(shop) == {orders[0].customer_id: 3 * int(orders[0].total)}
    holds(shop)


def test_a_cancelled_order_earns_nothing(shop: Shop) -> None:
    shop.order()
    shop.execute("UPDATE ingredients SET quantity = 0 WHERE id = 'mozzarella'")
    shop.drain()
    assert shop.rows("SELECT status FROM orders") == [("cancelled",)]
    assert balances(shop) == {}


def test_the_ledger_is_append_only_and_a_balance_is_never_negative(shop: Shop, three: tuple[str, str, str]) -> None:
    for change in ("UPDATE loyalty_entries SET points = 0", "DELETE FROM loyalty_entries"):
        with pytest.raises(IntegrityError, match="append-only"):
            shop.execute(change)
    with pytest.raises(IntegrityError, match="loyalty_balances_points_check"):
        shop.execute("UPDATE loyalty_balances SET points = -1")


def test_a_transfer_moves_points_and_tells_of_it_once(shop: Shop, three: tuple[str, str, str]) -> None:
    rich, _, poor = three
    done, new = give(shop, rich, poor, 30)
    assert (new, done.balance) == (True, 70)
    assert (balances(shop)[rich], balances(shop)[poor]) == (70, 30)
    (event,) = shop.rows("SELECT stream, type, data FROM events")
    assert (event.stream, event.type) == (f"loyalty-{done.id}", "PointsTransferred")
    assert (event.data["from_customer_id"], event.data["to_customer_id"], event.data["points"]) == (rich, poor, 30)
    assert "name" not in str(event.data)


@pytest.mark.parametrize(
    ("sender", "recipient", "points", "error", "field"),
    [
        (0, 1, 101, loyalty.OverdrawnError, "points"),
        (2, 1, 1, loyalty.OverdrawnError, "points"),
        (0, 0, 1, loyalty.InvalidTransferError, "to"),
        (0, 1, 0, loyalty.InvalidTransferError, "points"),
        (0, 1, -5, loyalty.InvalidTransferError, "points"),
        (0, 1, loyalty.MOST + 1, loyalty.InvalidTransferError, "points"),
        (0, None, 1, loyalty.UnknownCustomerError, "to"),
        (None, 0, 1, loyalty.UnknownCustomerError, "from"),
    ],
)
def test_what_cannot_be_transferred_changes_nothing(
    shop: Shop,
    three: tuple[str, str, str],
    sender: int | None,
    recipient: int | None,
    points: int,
    error: type[loyalty.TransferError],
    field: str,
) -> None:
    before = balances(shop)
    giver, taker = (three[number] if number is not None else "f" * 32 for number in (sender, recipient))
    with pytest.raises(error) as refused:
        give(shop, giver, taker, points)
    assert refused.value.field == field
    assert balances(shop) == before
    assert shop.value("SELECT count(*) FROM events") == shop.value("SELECT count(*) FROM loyalty_transfers") == 0


@pytest.mark.parametrize("accident", [KilledError("here"), RuntimeError("a bug")])
def test_an_error_between_debit_and_credit_changes_nothing(
    shop: Shop, three: tuple[str, str, str], accident: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strike(point: FailPoint) -> None:
        assert point.name == "loyalty.debited"
        raise accident

    rich, _, poor = three
    before = balances(shop)
    monkeypatch.setattr(FailPoint, "reach", strike)
    with pytest.raises(type(accident)):
        give(shop, rich, poor, 10, "k")
    monkeypatch.undo()
    assert balances(shop) == before
    assert shop.value("SELECT count(*) FROM loyalty_transfers") == shop.value("SELECT count(*) FROM events") == 0
    assert give(shop, rich, poor, 10, "k")[1]


def test_a_key_makes_one_transfer_and_is_good_for_no_other(shop: Shop, three: tuple[str, str, str]) -> None:
    rich, other, poor = three
    first, _ = give(shop, rich, poor, 60, "k")
    assert give(shop, rich, poor, 60, "k") == (first, False)  # although 60 more would overdraw
    for changed in ((rich, poor, 61), (rich, other, 60), (other, poor, 60)):
        with pytest.raises(loyalty.TransferKeyReusedError):
            give(shop, *changed, "k")
    assert balances(shop) == {rich: 40, other: 40, poor: 60}


def test_of_two_who_use_one_key_at_once_one_transfers(shop: Shop, three: tuple[str, str, str]) -> None:
    rich, other, poor = three
    answers: list[tuple[Transferred, bool]] = []

    def same(work: UnitOfWork) -> None:
        answers.append(loyalty.transfer(work, Transfer(rich, poor, 60, "staff:bob", "k")))

    second = Second(shop, same)
    third = Second(shop, lambda work: loyalty.transfer(work, Transfer(other, poor, 1, "staff:bob", "k")))
    with shop.database.begin("first") as work:
        first = loyalty.transfer(work, Transfer(rich, poor, 60, "staff:ada", "k"))
        second.comes()
    second.ends()
    assert answers == [(first[0], False)]
    third.comes()
    with pytest.raises(loyalty.TransferKeyReusedError):
        third.ends()
    assert balances(shop) == {rich: 40, other: 40, poor: 60}


def test_a_key_that_others_use_at_the_same_time_is_refused(shop: Shop, three: tuple[str, str, str]) -> None:
    rich, other, poor = three
    fourth = add_customer(shop, 4)
    second = Second(shop, lambda work: loyalty.transfer(work, Transfer(other, fourth, 1, "staff:bob", "k")))
    with shop.database.begin("first") as work:
        loyalty.transfer(work, Transfer(rich, poor, 1, "staff:ada", "k"))
        second.comes()
    with pytest.raises(loyalty.TransferKeyReusedError):
        second.ends()
    assert balances(shop)[other] == 40


def test_two_who_overdraw_together_are_not_both_served(shop: Shop, three: tuple[str, str, str]) -> None:
    rich, other, poor = three
    second = Second(shop, lambda work: loyalty.transfer(work, Transfer(rich, poor, 60, "staff:bob")))
    with shop.database.begin("first") as work:
        loyalty.transfer(work, Transfer(rich, other, 60, "staff:ada"))
        second.comes()
    with pytest.raises(loyalty.OverdrawnError):
        second.ends()
    assert balances(shop)[rich] == 40


moves = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 60), st.sampled_from([None, "a", "b"])),
    min_size=4,
    max_size=12,
)


def test_whoever_transfers_to_whomever_at_once_points_are_neither_made_nor_lost(shop: Shop) -> None:
    slate.keep(shop)

    @settings(max_examples=15, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(wanted=moves, orders=st.lists(st.integers(1, 3), min_size=1, max_size=3))
    def run(wanted: list[tuple[int, int, int, str | None]], orders: list[int]) -> None:
        slate.wipe(shop)
        people = [add_customer(shop, number, points) for number, points in enumerate((100, 50, 20, 0))]
        placed = [
            shop.order(contact=Contact("Guest", f"+1555020{number:04}"), fulfilment="pickup", address=None)
            for number in orders
        ]
        together = threading.Barrier(len(wanted) + 1)

        def one(move: tuple[int, int, int, str | None]) -> bool:
            sender, recipient, points, key = move
            together.wait(20)
            try:
                return give(shop, people[sender], people[recipient], points, key)[1]
            except loyalty.TransferError:
                return False

        def earn() -> None:
            together.wait(20)
            with shop.database.begin("earn") as work:
                loyalty.earn(work, [order.id for order in placed])

        with ThreadPoolExecutor(len(wanted) + 1) as pool:
            earning = pool.submit(earn)
            done = list(pool.map(one, wanted))
            earning.result()
        shop.execute("UPDATE orders SET status = 'delivered'")
        holds_but_the_start(shop, people)
        assert sum(balances(shop).values()) == 170 + sum(int(order.total) for order in placed)
        assert shop.value("SELECT count(*) FROM loyalty_transfers") == sum(done)
        assert shop.value("SELECT count(*) FROM events WHERE type = 'PointsTransferred'") == sum(done)
        used = [row.idempotency_key for row in shop.rows("SELECT idempotency_key FROM loyalty_transfers")]
        assert len([key for key in used if key]) == len({key for key in used if key})

    def holds_but_the_start(shop: Shop, people: list[str]) -> None:
        """The invariants, but for what the customers had before: no transfer brought it."""
        with shop.database.read() as connection:
            found: list[Any] = [attempt(connection, invariant) for invariant in LOYALTY]
        wrong = {
            finding.invariant.title: set(finding.examples) - set(people) for finding in found if finding.violations
        }
        assert {title: examples for title, examples in wrong.items() if examples} == {}

    run()
