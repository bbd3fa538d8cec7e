"""A past for the bench is made of copies of real orders, and is as sound as they are."""

import json

import pytest
from click.testing import CliRunner

from bench.growth import past
from tasks.cli.check import command
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration


def test_a_copied_past_has_every_row_again_and_every_invariant_holds(shop: Shop) -> None:
    shop.order()
    shop.drain()
    before = {table: shop.value(f"SELECT count(*) FROM {table}") for table in ("orders", "events", "deliveries")}

    past.copy(shop.database.engine, copies=2)

    assert {table: shop.value(f"SELECT count(*) FROM {table}") for table in before} == {
        table: 3 * rows for table, rows in before.items()
    }
    checked = json.loads(CliRunner().invoke(command, ["--wait", "0", "--json"], catch_exceptions=False).stdout)
    assert checked["quiet"], "or invariants were skipped"
    assert [line for line in checked["invariants"] if line["violations"]] == []


def test_orders_are_taken_and_delivered_after_a_copied_past(shop: Shop) -> None:
    shop.order()
    shop.drain()
    past.copy(shop.database.engine, copies=2)

    order = shop.order()
    shop.drain()

    assert shop.status(order) == "delivered"
