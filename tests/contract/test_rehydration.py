"""A stored slice of the log makes the orders that were stored with it, however often it is read."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain import history
from domain.events import catalogue
from domain.kernel.event import Event
from domain.orders import TRANSITIONS
from tests.contract.stored import without_later_fields

pytestmark = pytest.mark.unit

HERE = Path(__file__).parent
LOG = [json.loads(line) for line in (HERE / "log.jsonl").read_text().splitlines()]
ORDERS = json.loads((HERE / "orders.json").read_text())


def streams() -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for row in sorted(LOG, key=lambda row: (row["stream"], row["sequence"])):
        found[row["stream"]].append(catalogue.decode(row["type"], row["version"], msgspec.json.encode(row["data"])))
    return found


def rehydrate() -> list[Any]:
    return sorted((history.fold(events) for events in streams().values()), key=lambda order: order.id)


def test_the_slice_holds_every_step_an_order_takes_and_an_event_of_the_first_version() -> None:
    assert {row["type"] for row in LOG} == {kind.__name__ for kind in TRANSITIONS}
    assert ("OrderPlaced", 1) in {(row["type"], row["version"]) for row in LOG}
    assert {order["status"] for order in ORDERS} == {"placed", "cancelled", "delivered"}


def test_the_slice_of_the_log_rehydrates_to_the_stored_orders_twice_alike() -> None:
    once, twice = rehydrate(), rehydrate()
    assert once == twice
    stored = sorted(ORDERS, key=lambda order: str(order["id"]))
    assert without_later_fields(json.loads(msgspec.json.encode(once)), stored) == stored


@pytest.mark.parametrize(
    ("take", "told"),
    [
        (slice(0, 0), "there are no events"),
        (slice(1, None), "OrderCookingStarted came after nothing"),
        (slice(0, None, 2), "OrderReady came after placed"),
    ],
    ids=["none", "without its beginning", "with gaps"],
)
def test_a_history_that_does_not_follow_is_broken(take: slice, told: str) -> None:
    (whole,) = (events for events in streams().values() if len(events) == 5)
    with pytest.raises(history.BrokenHistoryError, match=told):
        history.fold(whole[take])


def test_an_event_that_is_no_orders_breaks_a_history() -> None:
    stock = catalogue.decode("StockReserved", 1, '{"order_id": "o1", "ingredients": {}}')
    with pytest.raises(history.BrokenHistoryError, match="StockReserved came after nothing"):
        history.fold([stock])
