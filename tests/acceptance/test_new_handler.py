"""A new handler is a new file, and nothing else: no other file, no process that runs already."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import Shop
from tests.conftest import until

pytestmark = pytest.mark.acceptance

THANKS = '''"""Counts the orders, for a postcard to the hundredth."""

from collections.abc import Sequence

from domain.events import OrderPlaced
from domain.kernel.unit_of_work import UnitOfWork
from tasks.bus.registry import handles


@handles(OrderPlaced)
def count(placed: Sequence[OrderPlaced], shop: UnitOfWork) -> None:
    for order in placed:
        shop.run("INSERT INTO switches (gateway, mode) VALUES (:id, 'counted')", id=f"postcard-{order.order_id}")
'''


def contents(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if is_source(path)}


def is_source(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def test_a_file_that_is_dropped_in_runs_on_the_next_event_after_migrate(
    new_shop: Callable[..., Shop], copy_tree: Callable[[], Path]
) -> None:
    tree = copy_tree()
    before = contents(tree)
    shop = new_shop(tree)
    shop.serve()
    shop.start("relay")
    shop.worker()
    earlier = shop.place()
    shop.wait_until_delivered([earlier])

    (tree / "tasks" / "handlers" / "postcards.py").write_text(THANKS)
    assert shop.run("migrate")[0] == 0
    routes = json.loads(shop.ask("routes", "--json").out)
    assert "postcards" in routes["OrderPlaced"]["handlers"]
    assert all("postcards" not in routes[event]["handlers"] for event in routes if event != "OrderPlaced")
    shop.worker("postcards")
    later = shop.place()
    until(lambda: shop.rows("SELECT mode FROM switches WHERE gateway = %s", f"postcard-{later}"), 30, "the new handler")
    shop.wait_until_delivered([later])

    assert not shop.deliveries("postcards", earlier)
    assert [delivery.state for delivery in shop.deliveries("postcards", later)] == ["done"]
    after = contents(tree)
    assert after.keys() - before.keys() == {"tasks/handlers/postcards.py"}
    assert all(after[path] == before[path] for path in before)
