"""The store by hand: counted, thrown away, used; and what it lacks is off the menu."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from domain import eighty_six, inventory, menu, orders
from domain.basket import InvalidOrderError, Line
from domain.kernel import clock
from domain.settings import settings
from tasks.cli import main
from tasks.cli.person import at_the_command_line
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration


def pizzeria(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def there(shop: Shop, ingredient: str = "basil") -> int:
    return int(shop.value("SELECT quantity FROM ingredients WHERE id = :id", id=ingredient))


def ledger(shop: Shop, ingredient: str) -> dict[str, int]:
    """What the ledger says of an ingredient, by reason."""
    rows = shop.rows(
        "SELECT reason, sum(quantity) AS quantity FROM stock_ledger WHERE ingredient_id = :id GROUP BY 1", id=ingredient
    )
    return {row.reason: int(row.quantity) for row in rows}


def test_what_was_reserved_is_used_once_the_order_is_made(shop: Shop) -> None:
    made, cancelled = shop.order(), shop.order(Line(pizza="diavola", size="medium", quantity=1))
    shop.fan_out()
    shop.run("inventory", "OrderPlaced")
    assert ledger(shop, "salami") == {"received": 30_000, "reserved": -120}
    with shop.database.begin("cancel") as work:
        orders.cancel(work, cancelled.id, "No.", "customer")
    shop.drain()
    assert shop.status(made) == "delivered"
    assert ledger(shop, "salami") == {"received": 30_000, "used": -60, "reserved": -60, "released": 60}
    assert there(shop, "salami") == 30_000 - 60


def test_counting_writes_down_the_difference(shop: Shop) -> None:
    said = pizzeria("stock", "count", "basil", "3990")
    assert (said.exit_code, said.output) == (0, "There are 3990 g of basil.\n")
    assert pizzeria("stock", "count", "basil", "3990").exit_code == 0
    assert ledger(shop, "basil") == {"received": 4_000, "counted": -10}
    assert there(shop) == 3_990


def test_wasting_takes_it_out(shop: Shop) -> None:
    said = pizzeria("stock", "waste", "basil", "100")
    assert (said.exit_code, said.output) == (0, "There are 3900 g of basil left.\n")
    assert ledger(shop, "basil") == {"received": 4_000, "wasted": -100}
    assert there(shop) == 3_900


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["waste", "basil", "4001"], "There is no more than 4000 g of basil to waste."),
        (["waste", "basil", "0"], "Waste a whole number from 1 to 1000000000000."),
        (["waste", "basil", "-5"], "Waste a whole number from 1 to 1000000000000."),
        (["waste", "basil", "1.5"], "Waste a whole number from 1 to 1000000000000."),
        (["waste", "gold", "1"], "No ingredient is called gold."),
        (["count", "basil", "-1"], "Count a whole number from 0 to 1000000000000."),
        (["count", "basil", "many"], "Count a whole number from 0 to 1000000000000."),
        (["count", "basil", "9" * 40], "Count a whole number from 0 to 1000000000000."),
        (["count", "basil", "1000000000001"], "Count a whole number from 0 to 1000000000000."),
        (["count", "basil", "²"], "Count a whole number from 0 to 1000000000000."),
        (["count", "gold", "1"], "No ingredient is called gold."),
        (["receive", "7"], "There is no purchase 7."),
        (["receive", "x"], "A purchase has a number: `pizzeria stock` shows those on their way."),
    ],
)
def test_nonsense_is_refused_in_a_sentence_and_changes_nothing(shop: Shop, words: list[str], sentence: str) -> None:
    said = pizzeria("stock", *words)
    assert (said.exit_code, said.stdout, said.stderr) == (2, "", f"{sentence}\n")
    assert shop.value("SELECT count(*) FROM stock_movements WHERE reason <> 'received'") == 0
    assert shop.value("SELECT count(*) FROM events") == 0


def test_the_store_is_listed_with_what_is_on_its_way(shop: Shop) -> None:
    assert pizzeria("stock", "waste", "basil", "3700").exit_code == 0
    shop.drain()
    said = pizzeria("stock")
    assert said.exit_code == 0
    (line,) = [line for line in said.output.splitlines() if "Basil" in line]
    for word in ("basil", "300 g", "400", "Ortofrutta Verdi", "900 g"):
        assert word in line
    number = str(shop.value("SELECT id FROM purchases"))
    said = pizzeria("stock", "receive", number)
    assert (said.exit_code, said.output) == (0, "900 g of basil came; there are 1200 g now.\n")
    assert shop.value("SELECT data ->> 'received_by' FROM events WHERE type = 'StockReceived'") == at_the_command_line()
    again = pizzeria("stock", "receive", number)
    assert (again.exit_code, again.stderr) == (2, f"Purchase {number} was received before.\n")
    assert '"purchase_id": null' in pizzeria("stock", "--json").stdout


def test_a_size_that_the_store_cannot_make_is_sold_out_until_stock_comes(shop: Shop) -> None:
    with shop.database.begin("count") as work:
        inventory.count(work, "salami", 70)  # a large diavola takes 84, a medium 60, a small 42
    with shop.database.read() as connection:
        card = menu.read(connection)
    assert card.pizzas["diavola"].sold_out_sizes == {"large"} and not card.pizzas["diavola"].sold_out
    with pytest.raises(InvalidOrderError, match="sold out in this size"):
        shop.order(Line(pizza="diavola", size="large", quantity=1))
    assert shop.order(Line(pizza="diavola", size="medium", quantity=1))
    with shop.database.begin("count") as work:
        inventory.count(work, "salami", 0)
    with pytest.raises(InvalidOrderError, match="Diavola is sold out"):
        shop.order(Line(pizza="diavola", size="small", quantity=1))
    shop.drain()
    number = shop.value("SELECT id FROM purchases WHERE ingredient_id = 'salami'")
    assert pizzeria("stock", "receive", str(number)).exit_code == 0
    assert shop.order(Line(pizza="diavola", size="large", quantity=1))


def test_a_pizza_without_a_recipe_never_runs_out(shop: Shop) -> None:
    shop.execute("DELETE FROM recipes WHERE pizza_id = 'diavola'")
    with shop.database.read() as connection:
        assert not menu.read(connection).pizzas["diavola"].sold_out


def test_a_pizza_taken_off_is_back_when_the_next_day_begins_in_the_shops_time_zone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = ZoneInfo("Pacific/Auckland")
    monkeypatch.setattr(settings(), "timezone", zone.key)
    said = pizzeria("menu", "86", "diavola")
    assert (said.exit_code, said.output.startswith("diavola is off the menu until ")) == (0, True)
    with pytest.raises(InvalidOrderError, match="Diavola is sold out"):
        shop.order()
    midnight = eighty_six.tomorrow(clock.now(), zone)
    assert (midnight.hour, midnight.minute, midnight.date()) == (
        0,
        0,
        clock.now().astimezone(zone).date() + timedelta(days=1),
    )
    clock.move(midnight - clock.now() - timedelta(seconds=5))
    with pytest.raises(InvalidOrderError):
        shop.order()
    clock.move(timedelta(seconds=6))
    assert shop.order()
    assert shop.value("SELECT count(*) FROM events WHERE type <> 'OrderPlaced'") == 0


def test_a_clock_that_is_set_back_keeps_no_menu_that_is_old(shop: Shop) -> None:
    cached = menu.CachedMenu(seconds=0)
    with shop.database.read() as connection:
        assert "diavola" in cached.get(connection).pizzas
        shop.execute("UPDATE pizzas SET retired = true WHERE id = 'diavola'")
        clock.move(timedelta(hours=-1))
        assert "diavola" not in cached.get(connection).pizzas


def test_a_pizza_taken_off_can_be_put_back(shop: Shop) -> None:
    assert pizzeria("menu", "86", "diavola").exit_code == 0
    assert pizzeria("menu", "back", "diavola").exit_code == 0
    assert shop.order()


@pytest.mark.parametrize("how", ["86", "back"])
def test_a_pizza_that_there_is_not_is_refused_with_those_there_are(shop: Shop, how: str) -> None:
    said = pizzeria("menu", how, "hawaii")
    assert said.exit_code == 2
    assert said.stderr.startswith("No pizza is called hawaii. There are margherita, marinara")


def test_what_is_retired_leaves_the_shelves_once_it_is_gone_and_nothing_more_comes(shop: Shop) -> None:
    def shelf() -> list[bool]:
        with shop.database.read() as connection:
            return [each.low for each in inventory.shelves(connection) if each.id == "basil"]

    shop.execute("UPDATE ingredients SET retired = true, quantity = 1 WHERE id = 'basil'")
    assert shelf() == [False], "what is there is counted and wasted still, and is no longer wanted"
    shop.execute("UPDATE ingredients SET quantity = 0 WHERE id = 'basil'")
    assert shelf() == []
    shop.execute(
        "INSERT INTO purchases (ingredient_id, supplier_id, quantity, ordered_at)"
        " VALUES ('basil', 'ortofrutta', 900, now())"
    )
    assert shelf() == [False]
