"""Events: their names, versions and what becomes of them on the way through JSON."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest

from domain.events import OrderPlaced, catalogue
from domain.kernel.event import Catalogue, Event, UnknownEventError, is_past_tense

pytestmark = pytest.mark.unit

PLACED: dict[str, Any] = {
    "order_id": "o1",
    "customer_id": "c1",
    "customer_phone": "+15550100001",
    "items": [{"pizza": "margherita", "name": "Margherita", "size": "large", "quantity": 2, "unit_price": "13.00"}],
    "total_amount": "26.00",
    "delivery_address": "1 Main Street",
    "estimated_delivery_time": "2026-11-20T19:30:00Z",
}


@pytest.mark.parametrize("name", ["SendInvoice", "PlaceOrder", "CookPizza", "Order"])
def test_an_event_that_is_not_named_in_the_past_tense_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="past tense"):
        Catalogue().register(type(name, (Event,), {}))


def test_every_event_of_the_catalogue_is_named_in_the_past_tense() -> None:
    assert catalogue.types
    assert all(is_past_tense(name) for name in catalogue.types)


def test_a_first_version_of_order_placed_is_read_as_the_present_one() -> None:
    placed = catalogue.decode("OrderPlaced", 1, msgspec.json.encode(PLACED))
    assert isinstance(placed, OrderPlaced)
    assert placed.total_amount == Decimal("26.00")
    assert (placed.fulfilment, placed.payment, placed.customer_email) == ("delivery", "cash", None)
    assert placed.estimated_delivery_time == datetime(2026, 11, 20, 19, 30, tzinfo=UTC)


def test_an_unknown_extra_field_is_ignored_and_a_missing_optional_one_has_its_default() -> None:
    placed = catalogue.decode("OrderPlaced", 1, msgspec.json.encode(PLACED | {"colour": "red"}))
    assert isinstance(placed, OrderPlaced)
    assert placed.returning_customer is False


@pytest.mark.parametrize(("name", "version"), [("OrderPlaced", 99), ("OrderEaten", 1)])
def test_an_event_from_the_future_is_refused_rather_than_guessed(name: str, version: int) -> None:
    with pytest.raises(UnknownEventError):
        catalogue.decode(name, version, msgspec.json.encode(PLACED))


def test_money_is_a_string_in_json() -> None:
    placed = catalogue.decode("OrderPlaced", 1, msgspec.json.encode(PLACED))
    assert b'"total_amount":"26.00"' in msgspec.json.encode(placed)


def test_an_event_cannot_be_changed() -> None:
    placed = catalogue.decode("OrderPlaced", 1, msgspec.json.encode(PLACED))
    with pytest.raises(AttributeError):
        placed.order_id = "other"  # type: ignore[attr-defined]


def test_no_field_of_any_event_names_a_provider_a_printer_or_a_key() -> None:
    forbidden = ("provider", "printer", "api_key", "twilio", "smtp")
    fields = {field for kind in catalogue.types.values() for field in kind.__struct_fields__}
    assert not [field for field in fields if any(word in field for word in forbidden)]


def test_an_event_of_twenty_lines_stays_under_eight_kilobytes() -> None:
    placed = catalogue.decode("OrderPlaced", 1, msgspec.json.encode(PLACED | {"items": PLACED["items"] * 20}))
    assert len(msgspec.json.encode(placed)) < 8000


def test_two_events_cannot_bear_one_name() -> None:
    class PizzaBaked(Event, frozen=True, kw_only=True):
        stream: ClassVar[str] = "pizza"

    both = Catalogue()
    both.register(PizzaBaked)
    with pytest.raises(ValueError, match="two events"):
        both.register(PizzaBaked)
