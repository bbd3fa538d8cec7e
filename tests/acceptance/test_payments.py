"""Cards in a running pizzeria: approved, declined, charged without an answer, and with everything killed meanwhile."""

from collections.abc import Callable

import pytest

from domain.payments import APPROVE, DECLINE, TIMEOUT_CHARGED
from tests.acceptance.conftest import Shop
from tests.conftest import until

pytestmark = pytest.mark.acceptance

EACH = 10


@pytest.fixture(scope="module")
def shop(new_shop: Callable[..., Shop]) -> Shop:
    shop = new_shop()
    shop.open()
    return shop


def place(shop: Shop, token: str) -> str:
    return shop.place(payment="card", card_token=token)


def ended(shop: Shop, orders: list[str]) -> bool:
    found = shop.rows("SELECT status FROM orders WHERE id = ANY(%s)", orders)
    return all(status in {"delivered", "cancelled"} for (status,) in found)


def states(shop: Shop, orders: list[str]) -> set[tuple[str, str]]:
    return set(
        shop.rows(
            "SELECT o.status, p.state FROM orders o JOIN payments p ON p.order_id = o.id WHERE o.id = ANY(%s)", orders
        )
    )


def test_cards_are_charged_refused_or_charged_once_whoever_is_killed_meanwhile(shop: Shop) -> None:
    cards = {APPROVE: "captured", DECLINE: "declined", TIMEOUT_CHARGED: "captured"}
    orders: dict[str, list[str]] = {token: [] for token in cards}
    for number in range(EACH):
        for token, placed in orders.items():
            placed.append(place(shop, token))
        if number == EACH // 3:
            shop.kill("pizzeria worker payments")
        if number == EACH // 2:
            with shop.broker() as broker:
                broker.flushall()
    everyone = [order for placed in orders.values() for order in placed]
    until(lambda: ended(shop, everyone), 90, "every order's end")
    until(lambda: not shop.value("SELECT count(*) FROM payments WHERE state = 'authorised'"), 60, "every capture")
    for token, placed in orders.items():
        assert states(shop, placed) == {("cancelled" if token == DECLINE else "delivered", cards[token])}
    charged = shop.rows("SELECT state, count(*) FROM sandbox.charges GROUP BY state ORDER BY state")
    assert charged == [("captured", 2 * EACH), ("declined", EACH)]
    shop.check()
