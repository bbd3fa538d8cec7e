"""What an order may look like, and what is said about one that may not."""

import hashlib
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from domain.basket import InvalidOrderError
from domain.menu import Menu, Pizza, Size, Topping
from web.order_request import read_order

pytestmark = pytest.mark.unit

MENU = Menu(
    {
        "margherita": Pizza("margherita", "Margherita", "", True, False, {"small": Decimal(8), "large": Decimal(13)}),
        "diavola": Pizza("diavola", "Diavola", "", False, True, {"small": Decimal(9)}),
    },
    {"small": Size("small", "Small"), "large": Size("large", "Large")},
    {"basil": Topping("basil", "Basil", Decimal("0.60"))},
)

BLANK = "\u00a0\u00ad\u034f\u115f\u1160\u200b\u2800\u3164\ufe0f\ufeff\uffa0\U000e0061"
"""Characters of which nothing is seen."""


def order(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "customer": {"name": "Ada", "phone": "+1 202 555 0123"},
        "fulfilment": "delivery",
        "address": "12 Analytical Row",
        "payment": "cash",
        "items": [{"pizza": "margherita", "size": "large", "quantity": 2}],
    }
    return plain | changes


def item(**changes: Any) -> dict[str, Any]:
    return order(items=[{"pizza": "margherita", "size": "large", "quantity": 2} | changes])


def customer(**changes: Any) -> dict[str, Any]:
    return order(customer={"name": "Ada", "phone": "+1 202 555 0123"} | changes)


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in order().items() if name != field}


def problems(payload: object) -> dict[str, str]:
    with pytest.raises(InvalidOrderError) as refused:
        read_order(payload, "US", lambda: MENU)
    return dict(refused.value.problems)


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ([], ""),
        ("order", ""),
        (None, ""),
        (without("customer"), "customer"),
        (order(customer="Ada"), "customer"),
        (order(customer={"phone": "+12025550123"}), "customer.name"),
        (order(customer={"name": "Ada"}), "customer.phone"),
        (customer(name=""), "customer.name"),
        (customer(name="   "), "customer.name"),
        *((customer(name=f"{blank} {blank}"), "customer.name") for blank in BLANK),
        (customer(name="x" * 81), "customer.name"),
        (customer(name=7), "customer.name"),
        (customer(name="A\x00da"), "customer.name"),
        (customer(name="A\u202eda"), "customer.name"),
        (customer(name="A\ud800da"), "customer.name"),
        (customer(name="A\nda"), "customer.name"),
        (customer(phone="abc"), "customer.phone"),
        (customer(phone="12"), "customer.phone"),
        (customer(phone=12025550123), "customer.phone"),
        (customer(phone="+999123456789"), "customer.phone"),
        (customer(phone="+1" + "2" * 40), "customer.phone"),
        (customer(email="nobody"), "customer.email"),
        (customer(email="a@b"), "customer.email"),
        (customer(email="a@example.com\nBcc: b@example.com"), "customer.email"),
        (customer(email=5), "customer.email"),
        (customer(age=5), "customer.age"),
        (order(total="0.01"), "total"),
        (without("fulfilment"), "fulfilment"),
        (order(fulfilment="drone"), "fulfilment"),
        (without("address"), "address"),
        (order(address=""), "address"),
        (order(address="1234"), "address"),
        (order(address="x" * 201), "address"),
        (order(address=["street"]), "address"),
        (without("payment"), "payment"),
        (order(payment="card"), "card_token"),
        (order(payment="card", card_token=" "), "card_token"),
        (order(payment="card", card_token="tok approve"), "card_token"),
        (order(payment="card", card_token="x" * 201), "card_token"),
        (order(payment="gold"), "payment"),
        (without("items"), "items"),
        (order(items=[]), "items"),
        (order(items={}), "items"),
        (order(items=[{"pizza": "margherita", "size": "large", "quantity": 1}] * 51), "items"),
        (order(items=[{"pizza": "margherita", "size": "large", "quantity": 20}] * 6), "items"),
        (order(items=["margherita"]), "items.0"),
        (item(pizza="hawaii"), "items.0.pizza"),
        (item(pizza="diavola", size="small"), "items.0.pizza"),
        (item(pizza=1), "items.0.pizza"),
        (item(size="huge"), "items.0.size"),
        (item(quantity=0), "items.0.quantity"),
        (item(quantity=-1), "items.0.quantity"),
        (item(quantity=21), "items.0.quantity"),
        (item(quantity=10**400), "items.0.quantity"),
        (item(quantity=1.5), "items.0.quantity"),
        (item(quantity=1.0), "items.0.quantity"),
        (item(quantity=True), "items.0.quantity"),
        (item(quantity="2"), "items.0.quantity"),
        (item(quantity=None), "items.0.quantity"),
        (item(toppings="basil"), "items.0.toppings"),
        (item(toppings=["basil", "basil"]), "items.0.toppings"),
        (item(toppings=["basil"] * 11), "items.0.toppings"),
        (item(toppings=["gold"]), "items.0.toppings.0"),
        (item(toppings=[1]), "items.0.toppings.0"),
        (item(note="x" * 141), "items.0.note"),
        (item(price="0.01"), "items.0.price"),
        (order(note="x" * 141), "note"),
        (order(note="bell\x07"), "note"),
        (order(language="de"), "language"),
        (order(language="IT"), "language"),
        (order(language=""), "language"),
        (order(language=["it"]), "language"),
        (order(language=True), "language"),
    ],
)
def test_it_refuses(payload: object, field: str) -> None:
    if field.startswith("items.0.") and field.split(".")[2] in {"pizza", "size", "toppings"}:
        # What only the menu knows is found together with something else, or when the order is placed.
        payload = {**payload, "fulfilment": "drone"} if isinstance(payload, dict) else payload
    found = problems(payload)
    assert field in found
    assert found[field].endswith(".")
    assert "validation" not in found[field]


def test_all_problems_come_at_once_those_with_the_menu_included() -> None:
    found = problems(
        order(
            customer={"name": "", "phone": "no"},
            address="",
            payment="card",
            items=[
                {"pizza": "margherita", "size": "large", "quantity": 0},
                {"pizza": "hawaii", "size": "large", "quantity": 1},
                {"pizza": "diavola", "size": "small", "quantity": 1},
            ],
        )
    )
    assert set(found) == {
        "customer.name",
        "customer.phone",
        "address",
        "card_token",
        "items.0.quantity",
        "items.1.pizza",
        "items.2.pizza",
    }
    assert found["card_token"] == "Paying by card takes a card token: text of at most 200 characters."
    assert found["items.2.pizza"] == "Diavola is sold out."


def test_an_answer_names_a_hundred_problems_at_most() -> None:
    assert len(problems(order(**{f"field{n}": n for n in range(500)}))) == 100


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("+1 202 555 0123", "+12025550123"),
        ("(202) 555-0123", "+12025550123"),
        ("+1 555 010 0000", "+15550100000"),
        ("+1234567890", "+1234567890"),
        ("+39 06 1234 5601", "+390612345601"),
    ],
)
def test_telephone_numbers_are_written_one_way(typed: str, written: str) -> None:
    assert read_order(customer(phone=typed), "US", lambda: MENU).contact.phone == written


def test_a_local_number_is_of_the_shop_s_region() -> None:
    assert read_order(customer(phone="06 1234 5601"), "IT", lambda: MENU).contact.phone == "+390612345601"


def test_text_is_stripped_and_markup_is_text() -> None:
    read = read_order(customer(name="  <b>Ada</b>  ") | {"note": " "}, "US", lambda: MENU)
    assert read.contact.name == "<b>Ada</b>"
    assert read.note is None


@pytest.mark.parametrize("name", ["Zoë", "ひ", "山田", "김\u3164지훈", "نگار\u200cی", "7", "🍕", "O’Hara", "a\u00adb"])
def test_a_name_of_which_something_is_seen_is_one_whatever_else_is_in_it(name: str) -> None:
    assert read_order(customer(name=name), "US", lambda: MENU).contact.name == name


def test_text_is_written_one_way_however_its_accents_were_typed() -> None:
    read = read_order(customer(name="Cafe\u0301" * 20), "US", lambda: MENU)
    assert read.contact.name == "Caf\u00e9" * 20


def test_a_pickup_needs_no_address_and_forgets_one() -> None:
    assert read_order(without("address") | {"fulfilment": "pickup"}, "US", lambda: MENU).address is None
    assert read_order(order(fulfilment="pickup", address="x"), "US", lambda: MENU).address is None


def test_null_means_left_out() -> None:
    payload = customer(email=None) | {"note": None, "card_token": None, "language": None}
    read = read_order(payload, "US", lambda: MENU)
    assert (read.contact.email, read.language) == (None, None)


def test_a_key_of_before_there_were_languages_is_still_good_and_another_language_is_another_order() -> None:
    plain, italian = (read_order(order(**said), "US", lambda: MENU) for said in ({}, {"language": "it"}))
    before = {
        name: value for name, value in msgspec.to_builtins(plain).items() if name not in {"card_token", "language"}
    }
    assert plain.digest() == hashlib.sha256(msgspec.json.encode(before)).digest()
    assert italian.language == "it" and italian.digest() != plain.digest()
