"""What customers are told, from the order to the row of the message."""

from typing import Any

import pytest

from domain import orders
from domain.basket import Line
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration


def told(shop: Shop, channel: str, about: str) -> list[Any]:
    return shop.rows(
        "SELECT * FROM messages WHERE channel = :channel AND about = :about ORDER BY key", channel=channel, about=about
    )


def test_who_chose_italian_is_told_everything_in_italian(shop: Shop) -> None:
    order = shop.order(language="it")
    shop.drain()
    assert shop.status(order) == "delivered"
    (confirmed,), (mail,) = told(shop, "sms", "OrderPlaced"), told(shop, "email", "OrderPlaced")
    assert confirmed.body.startswith(f"Ordine {order.code} confermato:")
    assert (mail.subject, mail.body[:5]) == (f"Ordine {order.code} confermato", "Ciao ")
    texts = {row.about: row.body for row in shop.rows("SELECT about, body FROM messages WHERE channel = 'sms'")}
    assert "è pronto" in texts["OrderReady"] and "in viaggio con" in texts["OrderOutForDelivery"]
    assert texts["OrderDelivered"] == f"L'ordine {order.code} è stato consegnato. Buon appetito!"


def test_the_shops_language_is_that_of_whoever_chose_none(shop: Shop, configure: Any) -> None:
    configure(language="it")
    order = shop.order()
    shop.drain()
    assert {
        row.language
        for row in shop.rows(
            "SELECT data->>'language' AS language FROM events WHERE stream = :s", s=f"order-{order.id}"
        )
    } == {"it"}
    assert "confermato" in told(shop, "sms", "OrderPlaced")[0].body


@pytest.mark.parametrize(
    ("why", "words"),
    [("customer", "come ci hai chiesto tu."), ("staff", "Wir haben zu."), ("unable", "oggi purtroppo")],
)
def test_a_cancellation_is_told_in_the_customers_language_but_for_what_somebody_typed(
    shop: Shop, why: str, words: str
) -> None:
    order = shop.order(language="it")
    with shop.database.begin("test") as work:
        orders.cancel(work, order.id, "Wir haben zu.", "staff:1", why)
    shop.drain()
    assert words in told(shop, "sms", "OrderCancelled")[0].body
    assert words in told(shop, "email", "OrderCancelled")[0].body


def test_what_is_missing_and_a_refused_card_are_told_in_the_customers_language(shop: Shop) -> None:
    shop.execute("UPDATE ingredients SET quantity = 70 WHERE id = 'salami'")
    missing = shop.order(Line(pizza="diavola", size="small", quantity=5), language="it")
    declined = shop.order(
        Line(pizza="marinara", size="small", quantity=1), language="it", payment="card", card_token="tok_decline"
    )
    shop.drain()
    bodies = {row.order_id: row.body for row in told(shop, "sms", "OrderCancelled")}
    assert "abbiamo finito qualche ingrediente (spicy salami)." in bodies[missing.id]
    assert "la carta non è stata accettata." in bodies[declined.id]
