"""Registers beside the orders that are on their way: what is changed meanwhile breaks nothing of theirs."""

import json

import pytest
from click.testing import CliRunner

from domain.basket import Line
from domain.register import Kept
from domain.registers import registers
from tasks.cli.check import command
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration


def change(shop: Shop, register_name: str, entry: str, **changes: object) -> Kept:
    register = registers()[register_name]
    with shop.database.begin("test") as work:
        read = register.get(work.connection, entry)
        wanted = register.change_of.model_validate({k: v for k, v in (read | changes).items() if k != "id"})
        return register.change(work, entry, wanted, read["version"], "test")


def test_what_is_renamed_repriced_and_retired_under_way_breaks_no_order_and_no_invariant(shop: Shop) -> None:
    line = Line(pizza="margherita", size="large", quantity=2, toppings=("basil",))
    before = [shop.order(), shop.order(line)]
    sizes = {"small": {"price": "99.00", "recipe": {"dough": 1}}}
    change(shop, "pizzas", "margherita", name="Regina", sizes=sizes, retired=True)
    change(shop, "sizes", "large", name="Grande", retired=True)
    change(shop, "toppings", "basil", name="Basilico", retired=True)
    change(shop, "ingredients", "basil", name="Fresh basil", minimum_threshold=3_990)
    change(shop, "suppliers", "ortofrutta", name="Ortofrutta Rossi", phone="+390612345699")
    change(shop, "drivers", "1", name="Gino", on_duty=False)
    shop.drain()
    after = shop.order(Line(pizza="diavola", size="medium", quantity=1))
    shop.drain()
    assert [shop.status(order) for order in (*before, after)] == ["delivered"] * 3
    used = shop.value("SELECT -sum(quantity) FROM stock_ledger WHERE reason = 'used' AND ingredient_id = 'basil'")
    assert used == 3 * 6 + 2 * 4, "three large margheritas by the recipe they had, and two toppings"
    sold = shop.rows("SELECT name, size, revenue FROM sales_lines WHERE pizza = 'margherita' ORDER BY revenue")
    assert [(row.name, row.size, str(row.revenue)) for row in sold] == [
        ("Margherita", "large", "13.00"),
        ("Margherita", "large", "27.20"),
    ]
    assert shop.value("SELECT count(*) FROM tours WHERE driver_id = 1") == 0
    said = CliRunner().invoke(command, ["--json", "--wait", "0"])
    assert [line["title"] for line in json.loads(said.stdout)["invariants"] if line["violations"]] == []
    assert said.exit_code == 0
