"""Orders that share a transaction: each is saved as if it had come alone."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from domain import history, menu
from domain.basket import InvalidOrderError, Line, NewOrder
from domain.customers import Contact
from domain.kernel import clock
from domain.orders import Order, get
from domain.payments import APPROVE
from domain.placing import Incoming, KeyReusedError, Outcome, place
from domain.settings import settings
from tests.contract.stored import sample, store
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration


def asked(number: int, *, phone: int | None = None, key: str | None = None, pizza: str = "margherita") -> Incoming:
    new = NewOrder(
        contact=Contact(f"Guest {number}", f"+1212555{number if phone is None else phone:04}"),
        fulfilment="pickup",
        payment="cash",
        lines=(Line(pizza=pizza, size="medium", quantity=1),),
    )
    return Incoming(new, key, f"correlation-{number}")


def orders_of(outcomes: list[Outcome]) -> list[Order]:
    found = []
    for outcome in outcomes:
        assert not isinstance(outcome, Exception)
        found.append(outcome[0])
    return found


def test_what_is_to_be_paid_can_be_paid_in_the_shops_currency(shop: Shop, configure: Callable[..., None]) -> None:
    configure(currency="JPY", tax_rate="0.05")
    order = shop.order(Line(pizza="margherita", size="large", quantity=7), payment="card", card_token=APPROVE)
    assert [order.subtotal, order.tax, order.total] == [Decimal(91), Decimal(5), Decimal(96)]  # 4.55 rounded
    shop.drain()
    assert shop.value("SELECT sum(cents) FROM postings WHERE account = 'card'") == 96


def test_what_people_type_as_a_note_is_in_the_orders_row_alone_and_its_history_says_the_same_without(
    shop: Shop,
) -> None:
    line = Line(pizza="margherita", size="large", quantity=2, note="for Ada, third floor")
    order = shop.order(line, note="the bell is broken")
    shop.drain()
    told = [str(row) for row in shop.rows("SELECT data FROM events")]
    kept = shop.rows("SELECT note, subject, body FROM messages m CROSS JOIN (SELECT note FROM ticket_pizzas) t")
    assert told and "third floor" not in str(told) and "bell" not in str(told)
    assert kept and "third floor" not in str(kept)
    with shop.database.view() as connection:
        assert [item.note for item in get(connection, order.id).items] == ["for Ada, third floor"]
        assert [sentence for page in history.compare(connection) for sentence in page.differences] == []


def test_an_old_event_that_has_a_note_is_no_difference(shop: Shop) -> None:
    data = sample(2, customer_id="a-customer")
    store(shop.url, 2, [data])
    assert any(item["note"] for item in data["items"])
    shop.execute("UPDATE orders SET items = items #- '{1,note}'")
    with shop.database.view() as connection:
        differences = [sentence for page in history.compare(connection) for sentence in page.differences]
    assert not any("items" in sentence for sentence in differences)


def test_each_has_its_own_event_stream_and_correlation(shop: Shop) -> None:
    placed = orders_of(shop.orders(*(asked(number) for number in range(5))))
    assert len({order.customer_id for order in placed}) == 5
    assert shop.rows("SELECT stream, sequence, correlation_id FROM events ORDER BY position") == [
        (f"order-{order.id}", 1, f"correlation-{number}") for number, order in enumerate(placed)
    ]
    assert shop.value("SELECT count(*) FROM outbox") == 5
    assert [order.name for order in placed] == [f"Guest {number}" for number in range(5)]


def test_an_order_is_saved_in_two_statements_of_whomever(shop: Shop) -> None:
    shop.orders(asked(1))
    with shop.database.begin("test") as work:
        now = menu.read(work.connection)
        with shop.statements() as seen:
            place(work, [asked(1), asked(2)], now, settings())
            work.flush()
    assert len(seen) == 2, seen


def test_an_id_begins_with_the_time_so_that_orders_of_one_evening_lie_together(shop: Shop) -> None:
    early = orders_of(shop.orders(*(asked(number) for number in range(3))))
    clock.move(timedelta(seconds=1))
    (late,) = orders_of(shop.orders(asked(3)))
    assert max(order.id for order in early) < late.id
    assert int(late.id[:8], 16) == int(late.placed_at.timestamp())
    assert len({order.id[8:] for order in [*early, late]}) == 4


def test_of_two_with_one_number_the_second_is_a_returning_customer(shop: Shop) -> None:
    first, second = orders_of(shop.orders(asked(1, phone=7), asked(2, phone=7)))
    assert first.customer_id == second.customer_id
    assert shop.rows("SELECT stream, data ->> 'returning_customer' FROM events ORDER BY position") == [
        (f"order-{first.id}", "false"),
        (f"order-{second.id}", "true"),
    ]
    assert shop.rows("SELECT name FROM customers") == [("Guest 1",)]


def test_of_two_with_one_key_one_is_saved_and_both_get_it(shop: Shop) -> None:
    outcomes = shop.orders(asked(1, key="k"), asked(2), asked(1, key="k"))
    first, other, again = orders_of(outcomes)
    assert first == again != other
    assert outcomes[2] == (first, False)
    assert shop.value("SELECT count(*) FROM orders") == shop.value("SELECT count(*) FROM events") == 2


def test_one_key_for_two_orders_that_come_together_is_refused_and_nothing_is_saved(shop: Shop) -> None:
    with pytest.raises(KeyReusedError):
        shop.orders(asked(1, key="k"), asked(2, key="k"))
    assert shop.value("SELECT count(*) FROM orders") == 0


def test_what_speaks_against_one_does_not_touch_the_others(shop: Shop) -> None:
    fine, unknown, last = shop.orders(asked(2), asked(3, pizza="calzone"), asked(5))
    assert isinstance(unknown, InvalidOrderError)
    assert len(orders_of([fine, last])) == 2
    assert shop.value("SELECT count(*) FROM orders") == shop.value("SELECT count(*) FROM customers") == 2


def test_where_a_key_was_another_orders_nothing_is_saved_and_nobody_becomes_a_customer(shop: Shop) -> None:
    shop.orders(asked(1, key="k"))
    with pytest.raises(KeyReusedError):
        shop.orders(asked(2), asked(4, key="k"))
    assert shop.value("SELECT count(*) FROM orders") == shop.value("SELECT count(*) FROM customers") == 1
