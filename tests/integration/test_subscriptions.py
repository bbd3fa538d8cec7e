"""Subscriptions that ask for what an event says."""

from types import ModuleType

import pytest

from domain.events import OrderPlaced
from domain.kernel.invariant import attempt
from tasks.bus import invariants
from tasks.bus.registry import RegistryError, collect, handles
from tests.integration.conftest import Shop
from tests.integration.probe import Probe, effect

pytestmark = pytest.mark.integration


def test_an_event_that_does_not_say_what_is_asked_for_makes_no_delivery(probe: Probe) -> None:
    probe.subscribe(effect, where={"fulfilment": "pickup"})
    probe.shop.order()
    collected = probe.shop.order(fulfilment="pickup")
    probe.drain()
    assert probe.effects() == [collected.id]
    assert len(probe.deliveries()) == 1


def test_what_is_asked_for_is_asked_for_from_when_it_is_written(probe: Probe) -> None:
    probe.subscribe(effect)
    probe.shop.order()
    probe.drain()
    probe.subscribe(effect, where={"fulfilment": "pickup", "payment": "cash"})
    probe.shop.order()
    probe.drain()
    assert len(probe.effects()) == 1
    probe.subscribe(effect)
    probe.shop.order()
    probe.drain()
    assert len(probe.effects()) == 2


def test_check_blames_nobody_for_events_that_were_not_asked_for_but_for_those_that_were(probe: Probe) -> None:
    probe.subscribe(effect, where={"fulfilment": "pickup"})
    for fulfilment in ("pickup", "delivery", "pickup"):
        probe.shop.order(fulfilment=fulfilment)
    probe.drain()
    (every_event,) = [each for each in invariants.INVARIANTS if each.title.startswith("Every event went")]
    with probe.shop.database.read() as connection:
        assert attempt(connection, every_event).violations == 0
    probe.shop.execute("DELETE FROM deliveries WHERE position = (SELECT max(position) FROM deliveries)")
    with probe.shop.database.read() as connection:
        assert attempt(connection, every_event).violations == 1


def test_an_order_paid_in_cash_goes_neither_to_payments_nor_to_accounts(shop: Shop) -> None:
    shop.order()
    shop.drain()
    assert not shop.rows("SELECT 1 FROM deliveries WHERE handler IN ('payments', 'accounts')")


@pytest.mark.parametrize("field", ["colour", "customer_phone"])
def test_what_an_event_does_not_say_or_is_personal_cannot_be_asked_for(field: str) -> None:
    with pytest.raises(RegistryError, match=f"OrderPlaced has no field '{field}' that can be asked for"):
        handles(OrderPlaced, where={field: "x"})(effect)


def test_what_fills_tables_takes_every_event() -> None:
    module = ModuleType("shelf")

    @handles(OrderPlaced, fills="shelf", where={"payment": "cash"})
    def fill(*_: object) -> None:
        """Do nothing."""

    fill.__module__ = "shelf"
    module.fill = fill  # type: ignore[attr-defined]
    with pytest.raises(RegistryError, match="take all"):
        collect(module, {})
