"""House accounts: nobody owes more than their limit, whoever orders at the same time."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from domain import accounts, menu, orders
from domain.basket import InvalidOrderError, Line, NewOrder
from domain.customers import Contact
from domain.invariants.money import ACCOUNTS
from domain.kernel.invariant import attempt
from domain.kernel.unit_of_work import UnitOfWork
from domain.orders import Order, Reason
from domain.placing import Incoming, KeyReusedError, Outcome, place
from domain.settings import settings as settings_of_process
from tests.integration.conftest import Shop
from tests.integration.model import slate
from tests.integration.test_races import Second

pytestmark = pytest.mark.integration

PRICE = Decimal("7.20")
"""Of a small marinara."""


def asked(phone: int = 1, *, key: str | None = None, payment: str = "account", quantity: int = 1) -> Incoming:
    new = NewOrder(
        contact=Contact("Guest", f"+1555030{phone:04}"),
        fulfilment="pickup",
        payment=payment,
        lines=(Line(pizza="marinara", size="small", quantity=quantity),),
    )
    return Incoming(new, key, "test")


def placed(outcome: Outcome) -> Order:
    assert not isinstance(outcome, Exception), outcome
    return outcome[0]


def refused(outcome: Outcome) -> bool:
    return isinstance(outcome, InvalidOrderError) and outcome.problems == {"payment": accounts.REFUSED}


def open_account(shop: Shop, limit: str, phone: int = 1) -> str:
    customer = f"{phone:032x}"
    shop.execute(
        "INSERT INTO customers (id, phone, name, created_at) VALUES (:id, :phone, 'Guest', now())",
        id=customer,
        phone=f"+1555030{phone:04}",
    )
    with shop.database.begin("test") as work:
        accounts.set_limit(work, customer, Decimal(limit), "ada")
    return customer


def owed(shop: Shop, customer: str | None = None) -> Decimal:
    found: Decimal = shop.value(
        "SELECT sum(balance) FROM house_accounts WHERE customer_id = :id OR CAST(:id AS text) IS NULL", id=customer
    )
    return found


def rows(shop: Shop) -> dict[str, int]:
    tables = ("orders", "customers", "events", "outbox", "account_entries")
    return {table: shop.value(f"SELECT count(*) FROM {table}") for table in tables}


def holds(shop: Shop) -> None:
    with shop.database.read() as connection:
        found = [attempt(connection, invariant) for invariant in ACCOUNTS]
    assert [(finding.invariant.title, finding.examples) for finding in found if finding.violations] == []


def test_an_order_within_the_limit_is_charged_to_the_last_cent(shop: Shop) -> None:
    customer = open_account(shop, "21.60")
    order = placed(shop.orders(asked(quantity=3))[0])
    assert (order.payment, order.total, owed(shop)) == ("account", Decimal("21.60"), Decimal("21.60"))
    before = rows(shop)
    assert refused(shop.orders(asked())[0])
    assert rows(shop) == before
    assert shop.value("SELECT data ->> 'payment' FROM events") == "account"
    with shop.database.read() as connection:
        assert [(e.reason, e.about, e.amount) for e in accounts.entries(connection, customer)] == [
            ("charged", order.id, Decimal("21.60"))
        ]
    holds(shop)


def test_the_tax_counts(shop: Shop, configure: Callable[..., None]) -> None:
    configure(tax_rate="0.1")
    open_account(shop, "7.91")
    assert refused(shop.orders(asked())[0])
    with shop.database.begin("test") as work:
        accounts.set_limit(work, f"{1:032x}", Decimal("7.92"), "ada")
    assert placed(shop.orders(asked())[0]).total == owed(shop) == Decimal("7.92")


def test_whoever_has_no_account_is_refused_and_does_not_become_a_customer(shop: Shop) -> None:
    assert refused(shop.orders(asked(9))[0])
    assert set(rows(shop).values()) == {0}
    shop.orders(asked(8, payment="cash"))
    assert refused(shop.orders(asked(8))[0])
    assert rows(shop)["orders"] == 1


def test_orders_of_one_transaction_do_not_exceed_the_limit_together_and_do_not_hinder_others(shop: Shop) -> None:
    open_account(shop, "20")
    open_account(shop, "8", phone=2)
    outcomes = shop.orders(
        asked(), asked(3, payment="cash"), asked(), asked(2), asked(), asked(2), asked(1, quantity=0)
    )
    assert [refused(outcome) for outcome in outcomes] == [False, False, False, False, True, True, False]
    assert (owed(shop, f"{1:032x}"), owed(shop, f"{2:032x}")) == (2 * PRICE, PRICE)
    holds(shop)


def test_a_repeated_request_is_charged_once_and_takes_no_credit_from_others(shop: Shop) -> None:
    open_account(shop, "15")
    first = placed(shop.orders(asked(key="k"))[0])
    again, new, twice, beyond = shop.orders(asked(key="k"), asked(key="l"), asked(key="l"), asked(key="m"))
    assert placed(again) == first
    assert (placed(new), refused(beyond)) == (placed(twice), True)
    assert placed(shop.orders(asked(key="k"))[0]) == first
    assert owed(shop) == 2 * PRICE
    with pytest.raises(KeyReusedError):
        shop.orders(asked(key="k", quantity=2))
    holds(shop)


def test_an_order_paid_in_cash_makes_no_trip_to_the_accounts(shop: Shop) -> None:
    with shop.statements() as seen:
        shop.orders(asked(payment="cash"), asked(2, payment="cash"))
    assert seen
    assert not [statement for statement in seen if "account" in statement]


def test_a_second_transaction_waits_for_the_first_and_counts_what_it_charged(shop: Shop) -> None:
    open_account(shop, "10")
    outcomes: list[Outcome] = []

    def order(work: UnitOfWork) -> None:
        outcomes.extend(place(work, [asked()], menu.read(work.connection), settings_of_process()))

    second = Second(shop, order)
    with shop.database.begin("first") as work:
        order(work)
        second.comes()
    second.ends()
    assert [refused(outcome) for outcome in outcomes] == [False, True]
    assert owed(shop) == PRICE


def test_an_order_that_another_transaction_has_just_charged_is_not_refused(shop: Shop) -> None:
    open_account(shop, "10")  # room for one
    outcomes: list[Outcome] = []

    def order(work: UnitOfWork) -> None:
        outcomes.extend(place(work, [asked(key="k")], menu.read(work.connection), settings_of_process()))

    second = Second(shop, order)
    with shop.database.begin("first") as work:
        order(work)
        second.comes()
    with pytest.raises(IntegrityError):  # tried again, it is found
        second.ends()
    assert not any(refused(outcome) for outcome in outcomes)
    assert owed(shop) == PRICE


def test_a_cancelled_order_is_taken_off_once_and_what_was_paid_in_cash_is_not(shop: Shop) -> None:
    open_account(shop, "20")
    gone, kept = (placed(outcome) for outcome in shop.orders(asked(), asked()))
    cash = placed(shop.orders(asked(payment="cash"))[0])
    with shop.database.begin("cancel") as work:
        orders.cancel_all(
            orders.Orders(work, [gone.id, cash.id]), {gone.id: Reason("No."), cash.id: Reason("No.")}, "customer"
        )
    shop.fan_out()
    shop.run("accounts", "OrderCancelled")
    for _ in range(2):
        with shop.database.begin("again") as work:
            accounts.give_back(work, [gone.id, cash.id, gone.id])
    assert owed(shop) == PRICE
    assert shop.status(kept) == "placed"
    holds(shop)
    assert placed(shop.orders(asked())[0])


def test_what_is_paid_is_credit_again_and_never_more_than_is_owed(shop: Shop) -> None:
    customer = open_account(shop, "10")
    shop.orders(asked())
    with pytest.raises(accounts.AccountError, match=r"owes 7\.20"), shop.database.begin("test") as work:
        accounts.pay(work, customer, Decimal("7.21"), "ada")
    with shop.database.begin("test") as work:
        accounts.pay(work, customer, Decimal("7.20"), "ada")
    assert owed(shop) == 0
    assert placed(shop.orders(asked())[0])
    holds(shop)


@pytest.mark.parametrize("limit", ["-0.01", "0.001", "NaN", "Infinity", "10000000000"])
def test_a_limit_is_an_amount_of_money(shop: Shop, limit: str) -> None:
    customer = open_account(shop, "1")
    with pytest.raises(accounts.AccountError, match="A limit is"), shop.database.begin("test") as work:
        accounts.set_limit(work, customer, Decimal(limit), "ada")
    with pytest.raises(accounts.AccountError, match="What was paid"), shop.database.begin("test") as work:
        accounts.pay(work, customer, Decimal(limit), "ada")


def test_an_account_is_a_customers_and_its_ledger_is_append_only(shop: Shop) -> None:
    with pytest.raises(accounts.AccountError, match="no such customer"), shop.database.begin("test") as work:
        accounts.set_limit(work, "nobody", Decimal(1), "ada")
    with pytest.raises(accounts.AccountError, match="no house account"), shop.database.begin("test") as work:
        accounts.pay(work, "nobody", Decimal(1), "ada")
    with pytest.raises(IntegrityError, match="append-only"):
        shop.execute("DELETE FROM account_entries")


wanted = st.lists(st.tuples(st.integers(1, 2), st.sampled_from([None, "a", "b"])), min_size=1, max_size=3)


def test_whoever_orders_and_cancels_at_once_nobody_owes_more_than_the_limit(shop: Shop) -> None:
    slate.keep(shop)

    @settings(max_examples=15, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(baskets=st.lists(wanted, min_size=3, max_size=6), early=st.integers(0, 2))
    def run(baskets: list[list[tuple[int, str | None]]], early: int) -> None:
        slate.wipe(shop)
        open_account(shop, "30", 1)
        open_account(shop, "15", 2)
        first = [placed(shop.orders(asked(1))[0]).id for _ in range(early)]
        together = threading.Barrier(len(baskets) + 1)

        def order(basket: list[tuple[int, str | None]]) -> None:
            together.wait(20)
            shop.orders(*(asked(phone, key=key and f"{key}{phone}") for phone, key in basket))

        def cancel() -> None:
            together.wait(20)
            with shop.database.begin("cancel") as work:
                orders.cancel_all(orders.Orders(work, first), dict.fromkeys(first, Reason("No.")), "customer")
            shop.fan_out()
            shop.run("accounts", "OrderCancelled")

        with ThreadPoolExecutor(len(baskets) + 1) as pool:
            cancelling = pool.submit(cancel)
            list(pool.map(order, baskets))
            cancelling.result()
        holds(shop)
        assert owed(shop, f"{1:032x}") <= 30
        assert owed(shop, f"{2:032x}") <= 15
        keys = {(phone, key) for basket in baskets for phone, key in basket if key}
        assert shop.value("SELECT count(*) FROM orders WHERE idempotency_key IS NOT NULL") <= len(keys)
        free = sum(key is None for basket in baskets for _, key in basket)
        assert shop.value("SELECT count(*) FROM orders") >= min(2, free + len(keys))

    run()
