"""What the store is low on is bought once, comes once, and is there again."""

from datetime import timedelta

import pytest

from domain import inventory, messages, procurement
from domain.basket import Line
from domain.events import InventoryLow, catalogue
from domain.kernel import log
from domain.kernel.event import Recorded
from domain.messages import TooLateError, TooSoonError
from tasks.simulation import supplies
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration

DIAVOLA = Line(pizza="diavola", size="medium", quantity=1)  # takes 60 g of salami


def count_salami(shop: Shop, grams: int, threshold: int) -> None:
    """Have the store hold so much salami, and want to have more than a threshold; nobody hears of it."""
    shop.execute(
        "WITH moved AS (INSERT INTO stock_movements (ingredient_id, reason, quantity)"
        " SELECT id, 'counted', :grams - quantity FROM ingredients WHERE id = 'salami')"
        " UPDATE ingredients SET quantity = :grams, minimum_threshold = :threshold WHERE id = 'salami'",
        grams=grams,
        threshold=threshold,
    )


def receive(shop: Shop, purchase_id: int) -> procurement.Received:
    with shop.database.begin("receive") as work:
        return procurement.receive(work, purchase_id, "staff")


def told(shop: Shop) -> list[str]:
    """The types of what was recorded about salami and its purchases."""
    return [
        row.type
        for row in shop.rows(
            "SELECT type FROM events WHERE stream LIKE 'ingredient-%' OR stream LIKE 'purchase-%' ORDER BY position"
        )
    ]


def retire(shop: Shop, ingredient: str, *, retired: bool) -> None:
    """Retire an ingredient that something needs, as an import would not; or bring it back."""
    shop.execute("UPDATE ingredients SET retired = :retired WHERE id = :id", retired=retired, id=ingredient)


def redeliver_lows(shop: Shop) -> None:
    """Have procurement get every InventoryLow once more, as if it had never had it."""
    shop.execute(
        "UPDATE deliveries SET state = 'pending', dispatched_at = NULL, done_at = NULL WHERE handler = 'procurement'"
    )
    shop.drain()
    assert {delivery.state for delivery in shop.deliveries("procurement")} == {"done"}


def test_what_an_order_takes_below_its_threshold_is_bought_up_to_three_times_the_threshold(shop: Shop) -> None:
    count_salami(shop, 1_050, 1_000)
    shop.order(DIAVOLA)
    shop.drain()
    (purchase,) = shop.rows("SELECT * FROM purchases")
    assert (purchase.ingredient_id, purchase.supplier_id, purchase.state) == ("salami", "salumeria", "open")
    assert purchase.quantity == 3 * 1_000 - 990
    assert told(shop) == ["InventoryLow", "PurchaseOrdered"]
    (recorded,) = shop.rows("SELECT data, causation_id FROM events WHERE type = 'PurchaseOrdered'")
    assert recorded.data["supplier_info"]["email"] == "orders@salumeria.example"
    assert recorded.causation_id == shop.value("SELECT id FROM events WHERE type = 'InventoryLow'")


def test_the_supplier_gets_one_mail_which_is_a_row_like_every_message(shop: Shop) -> None:
    count_salami(shop, 1_050, 1_000)
    order = shop.order(DIAVOLA)
    shop.drain()
    (mail,) = shop.rows("SELECT * FROM messages WHERE purchase_id IS NOT NULL")
    assert (mail.channel, mail.recipient, mail.state) == ("email", "orders@salumeria.example", "sent")
    assert (mail.order_id, mail.customer_id) == (None, None)
    assert "2,010 g of spicy salami" in mail.subject and "Salumeria Neri" in mail.body
    with shop.database.read() as connection:
        assert mail.key in {message.key for message in messages.recent(connection)}
        assert mail.key not in {message.key for message in messages.recent(connection, order_id=order.id)}


def test_an_order_that_finds_too_little_tells_that_it_is_low_although_the_threshold_was_not_crossed(shop: Shop) -> None:
    count_salami(shop, 100, 50)
    for _ in range(2):
        shop.order(Line(pizza="diavola", size="medium", quantity=4))
        shop.drain()
    assert told(shop) == ["InventoryLow", "PurchaseOrdered"]
    (purchase,) = shop.rows("SELECT id, quantity FROM purchases")
    assert purchase.quantity == 3 * 240 - 100
    receive(shop, purchase.id)
    order = shop.order(Line(pizza="diavola", size="medium", quantity=4))
    shop.drain()
    assert shop.status(order) == "delivered"


def test_it_is_told_once_for_each_crossing_however_many_orders_follow(shop: Shop) -> None:
    count_salami(shop, 1_050, 1_000)
    for crossing in (1, 2):
        for _ in range(3):
            shop.order(DIAVOLA)
            shop.drain()
        assert told(shop).count("InventoryLow") == told(shop).count("PurchaseOrdered") == crossing
        came = receive(shop, shop.value("SELECT id FROM purchases WHERE state = 'open'"))
        assert came.ingredient.quantity > 1_000
        with shop.database.begin("count") as work:
            inventory.count(work, "salami", 1_010)
    assert told(shop) == ["InventoryLow", "PurchaseOrdered", "StockReceived"] * 2


def test_while_a_purchase_is_on_its_way_nothing_more_is_bought_even_for_a_second_crossing(shop: Shop) -> None:
    count_salami(shop, 1_050, 1_000)
    shop.order(DIAVOLA)
    shop.drain()
    with shop.database.begin("count") as work:
        inventory.count(work, "salami", 1_050)  # a box was found
    shop.order(DIAVOLA)
    shop.drain()
    redeliver_lows(shop)
    assert told(shop) == ["InventoryLow", "PurchaseOrdered", "InventoryLow"]
    assert shop.value("SELECT count(*) FROM purchases") == 1


def test_what_is_told_after_the_purchase_has_come_is_not_bought_again(shop: Shop) -> None:
    count_salami(shop, 1_050, 1_000)
    shop.order(DIAVOLA)
    shop.drain()
    receive(shop, shop.value("SELECT id FROM purchases"))
    redeliver_lows(shop)
    assert shop.value("SELECT count(*) FROM purchases") == 1


def test_whatever_threshold_a_register_takes_what_is_bought_for_it_can_be_received_and_counted(shop: Shop) -> None:
    count_salami(shop, 10, procurement.MAX_THRESHOLD)
    with shop.database.begin("count") as work:
        inventory.count(work, "salami", 0)
    shop.drain()
    received = receive(shop, shop.value("SELECT id FROM purchases"))
    with shop.database.begin("count") as work:
        assert inventory.count(work, "salami", received.quantity).quantity == 3 * procurement.MAX_THRESHOLD


def test_a_purchase_is_received_once(shop: Shop) -> None:
    count_salami(shop, 1_050, 1_000)
    shop.order(DIAVOLA)
    shop.drain()
    number = shop.value("SELECT id FROM purchases")
    assert receive(shop, number).quantity == 2_010
    before = shop.value("SELECT count(*) FROM events"), shop.value("SELECT count(*) FROM stock_movements")
    with pytest.raises(procurement.ReceivedBeforeError):
        receive(shop, number)
    with pytest.raises(procurement.UnknownPurchaseError):
        receive(shop, number + 1)
    assert (shop.value("SELECT count(*) FROM events"), shop.value("SELECT count(*) FROM stock_movements")) == before
    assert shop.value("SELECT quantity FROM ingredients WHERE id = 'salami'") == 3_000
    (movement,) = shop.rows("SELECT reason, quantity FROM stock_movements WHERE purchase_id = :id", id=number)
    assert tuple(movement) == ("received", 2_010)


def test_staff_have_the_mail_sent_again_until_the_purchase_comes(shop: Shop) -> None:
    count_salami(shop, 1_050, 1_000)
    shop.order(DIAVOLA)
    shop.drain()
    mail = shop.value("SELECT key FROM messages WHERE purchase_id IS NOT NULL")
    with shop.database.begin("again") as work:
        assert messages.request_again(work, mail, "staff") is None
    shop.drain()
    bodies = [row.body for row in shop.rows("SELECT body FROM messages WHERE purchase_id IS NOT NULL")]
    assert len(bodies) == 2 and bodies[0] == bodies[1]
    with pytest.raises(TooSoonError), shop.database.begin("again") as work:
        messages.request_again(work, mail, "staff")
    receive(shop, shop.value("SELECT id FROM purchases"))
    shop.execute("ALTER TABLE events DISABLE TRIGGER USER")
    shop.execute("UPDATE events SET recorded_at = recorded_at - interval '1 minute'")
    with pytest.raises(TooLateError), shop.database.begin("again") as work:
        messages.request_again(work, mail, "staff")


def test_what_is_retired_is_not_bought_until_it_is_brought_back_and_counted(shop: Shop) -> None:
    with shop.database.begin("count") as work:
        inventory.count(work, "basil", 1)
    retire(shop, "basil", retired=True)
    shop.drain()
    for quantity in (0, 1):
        with shop.database.begin("count") as work:
            inventory.count(work, "basil", quantity)
        shop.drain()
    assert shop.rows("SELECT 1 FROM purchases") == shop.rows("SELECT 1 FROM messages") == []
    retire(shop, "basil", retired=False)
    assert shop.value("SELECT low_until FROM ingredients WHERE id = 'basil'") is None, "or nobody would buy it again"
    with shop.database.begin("count") as work:
        inventory.count(work, "basil", 1)
    shop.drain()
    assert shop.rows("SELECT ingredient_id, state FROM purchases") == [("basil", "open")]


def test_a_batch_of_low_ingredients_names_each_as_the_cause_of_its_purchase(shop: Shop) -> None:
    with shop.database.begin("count") as work:
        inventory.count(work, "basil", 1)
    with shop.database.begin("count") as work:
        inventory.count(work, "garlic", 0)
    shop.drain()
    pairs = shop.rows(
        "SELECT p.data->>'ingredient_id' AS bought, l.data->>'ingredient_id' AS low FROM events p"
        " JOIN events l ON l.id = p.causation_id WHERE p.type = 'PurchaseOrdered' ORDER BY 1"
    )
    assert [tuple(pair) for pair in pairs] == [("basil", "basil"), ("garlic", "garlic")]
    with shop.database.read() as connection:
        (low,) = log.read_streams(connection, catalogue, ["ingredient-garlic"])["ingredient-garlic"]
    assert isinstance(low, Recorded) and isinstance(low.event, InventoryLow) and low.event.current_quantity == 0


def test_on_a_played_day_the_wholesaler_brings_once_what_was_ordered_on_it(shop: Shop) -> None:
    count_salami(shop, 1_050, 1_000)
    shop.order(DIAVOLA)
    shop.drain()
    ordered = shop.value("SELECT ordered_at FROM purchases")
    supplies.bring(ordered + timedelta(seconds=1))
    assert shop.value("SELECT state FROM purchases") == "open"
    supplies.bring(ordered)
    supplies.bring(ordered)
    assert shop.value("SELECT quantity FROM ingredients WHERE id = 'salami'") == 3_000
    assert told(shop).count("StockReceived") == 1
