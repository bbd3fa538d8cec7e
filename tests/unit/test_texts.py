"""What customers read: a text for each event, channel and language, of nothing but what the event says."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from jinja2 import meta, nodes

from domain import texts
from domain.events import (
    OrderCancelled,
    OrderDelivered,
    OrderItem,
    OrderOutForDelivery,
    OrderPlaced,
    OrderReady,
    PurchaseOrdered,
    SupplierInfo,
)
from domain.kernel.event import Event
from domain.orders import REASON_CODES
from domain.settings import LANGUAGES, Settings
from domain.texts import TEMPLATES, TOLD, Texts

pytestmark = pytest.mark.unit

WANTED = [(kind, channel, language) for channel, kinds in TOLD.items() for kind in kinds for language in LANGUAGES]
SHARED = {"reason.it.txt"}
AT = datetime(2026, 11, 20, 18, 5, tzinfo=UTC)
CONTACT: dict[str, Any] = {
    "order_id": "6920d0a0" + "5f0c2e9d41b84f6a9c07d1a2e3b4c5d6",
    "customer_id": "c1",
    "customer_name": "Ada",
}


def placed(**changes: Any) -> OrderPlaced:
    item = OrderItem(
        pizza="diavola", name="Diavola", size="large", quantity=2, unit_price=Decimal("13.50"), toppings=("olives",)
    )
    said: dict[str, Any] = {
        "items": (item, OrderItem(pizza="marinara", name="Marinara", size="xl", quantity=1, unit_price=Decimal(9))),
        "total_amount": Decimal("1036.00"),
        "currency": "EUR",
        "fulfilment": "delivery",
        "payment": "cash",
        "delivery_address": "Via Roma 1",
        "estimated_ready_time": AT,
        "estimated_delivery_time": AT,
        "placed_at": AT,
    }
    return OrderPlaced(**(CONTACT | said | changes))


def ready(**changes: Any) -> OrderReady:
    said = {"fulfilment": "delivery", "preparation_time": 60, "estimated_preparation_time": 60, "ready_at": AT}
    return OrderReady(**(CONTACT | said | changes))


def cancelled(**changes: Any) -> OrderCancelled:
    said = {"reason": "Too far away.", "cancelled_by": "staff:1", "cancelled_at": AT}
    return OrderCancelled(**(CONTACT | said | changes))


def purchase(quantity: int = 3600, lead_days: int = 2) -> PurchaseOrdered:
    supplier = SupplierInfo(supplier_id="orto", name="Orto", email="o@example.com", phone="1", lead_days=lead_days)
    return PurchaseOrdered(
        purchase_id=7,
        ingredient_id="basil",
        ingredient_name="Basil",
        quantity=quantity,
        unit="g",
        supplier_info=supplier,
    )


SMS = (
    placed(),
    placed(fulfilment="pickup"),
    ready(),
    ready(fulfilment="pickup"),
    OrderOutForDelivery(**CONTACT, driver_name="Luca", estimated_delivery_time=AT),
    OrderDelivered(**CONTACT, fulfilment="delivery", delivered_at=AT),
    cancelled(),
)
ITALIAN = Texts(Settings(language="it", timezone="Europe/Rome"))
ENGLISH = Texts(Settings())


def test_there_is_a_template_for_every_event_channel_and_language_and_none_besides() -> None:
    wanted = {f"{kind.__name__}.{channel}.{language}.txt" for kind, channel, language in WANTED}
    assert {path.name for path in TEMPLATES.iterdir()} == wanted | SHARED


def structs(kind: Any) -> Iterator[type[msgspec.Struct]]:
    """Give the structs that a field's type is made of."""
    if isinstance(kind, type) and get_origin(kind) is None and issubclass(kind, msgspec.Struct):
        yield kind
    for part in get_args(kind):
        yield from structs(part)


@pytest.mark.parametrize(("kind", "channel", "language"), WANTED)
def test_a_template_uses_only_fields_that_its_event_has(kind: type[Event], channel: str, language: str) -> None:
    environment = texts.environment(language, "UTC")
    inner = {name for field in get_type_hints(kind).values() for part in structs(field) for name in fields(part)}
    seen = {f"{kind.__name__}.{channel}.{language}.txt"}
    for name in seen | (SHARED if language == "it" and kind is OrderCancelled else set()):
        tree = environment.parse((TEMPLATES / name).read_text())
        assert meta.find_undeclared_variables(tree) <= set(kind.__struct_fields__)
        attributes = {node.attr for node in tree.find_all(nodes.Getattr)}
        assert attributes <= inner | {"last", "get"}, "an attribute that no part of the event has"


def fields(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    return struct.__struct_fields__


@pytest.mark.parametrize("event", SMS, ids=lambda event: type(event).__name__)
def test_a_text_message_is_one_line_that_fits_into_single_bytes(event: Any) -> None:
    for language in LANGUAGES:
        said = ENGLISH.sms(msgspec.structs.replace(event, language=language))
        assert "\n" not in said and "  " not in said
        assert not set(said) - set("èìòùàéÈ€'()") - {chr(code) for code in range(32, 127)}, (
            "costs two bytes a character"
        )


def test_who_reads_italian_is_confirmed_in_italian_in_the_shops_money_and_time() -> None:
    assert ENGLISH.sms(placed(language="en")).startswith(
        "Order 5F0C2E confirmed: 2 x Diavola, 1 x Marinara. Total €1,036.00."
    )
    said = ITALIAN.sms(placed(language="it"))
    assert said == (
        "Ordine 5F0C2E confermato: 2 x Diavola, 1 x Marinara. Totale 1.036,00 €. Consegna prevista: ore 19:05."
        " Ti avvisiamo quando la pizza è pronta."
    )
    subject, body = ENGLISH.mail(placed(language="it", payment="card"))
    assert subject == "Ordine 5F0C2E confermato"
    assert "  2 x Diavola, grande, con olives  27,00 €\n  1 x Marinara, xl  9,00 €\n" in body
    assert "Totale: 1.036,00 €, da pagare con carta.\nOrario previsto: 18:05.\n" in body
    assert body.startswith("Ciao Ada,\n") and body.endswith("Consegna a: Via Roma 1\n\nPizzeria da Mario")


def test_sizes_and_toppings_are_told_by_their_names_and_those_of_an_older_order_by_what_is_known() -> None:
    item = OrderItem(
        pizza="diavola",
        name="Diavola",
        size="xl",
        quantity=1,
        unit_price=Decimal(9),
        toppings=("extra-cheese", "olives"),
    )
    named = msgspec.structs.replace(item, size_name="Family", topping_names=("Extra cheese", "Black olives"))
    assert "1 x Diavola, family, with extra cheese, black olives  €9.00" in ENGLISH.mail(placed(items=(named,)))[1]
    assert "1 x Diavola, family, con extra cheese, black olives  9,00" in ITALIAN.mail(placed(items=(named,)))[1]
    assert "1 x Diavola, xl, with extra-cheese, olives  €9.00" in ENGLISH.mail(placed(items=(item,)))[1]


def test_who_collects_a_pizza_in_italian_is_told_of_the_counter_and_of_no_delivery() -> None:
    assert "Ritiro al banco." in ITALIAN.mail(placed(fulfilment="pickup"))[1]
    told = OrderDelivered(**CONTACT, fulfilment="pickup", delivered_at=AT)
    assert ITALIAN.sms(told) == "L'ordine 5F0C2E è stato ritirato. Buon appetito!"


def test_what_a_customer_wrote_is_text_and_no_template_and_stays_out_of_the_subject() -> None:
    name = "<b>Ada</b> & {{ 7 * 7 }}"
    subject, body = ENGLISH.mail(placed(customer_name=name))
    assert (subject, body.splitlines()[0]) == ("Order 5F0C2E confirmed", f"Hello {name},")


@pytest.mark.parametrize("language", [None, "tlh"])
def test_who_chose_no_language_or_one_that_we_have_not_is_told_in_the_shops(language: str | None) -> None:
    assert "è pronto" in ITALIAN.sms(ready(language=language))
    assert "is ready" in ENGLISH.sms(ready(language=language))


def test_who_forgot_their_name_to_be_known_is_greeted_all_the_same() -> None:
    assert ENGLISH.mail(ready(customer_name=None))[1].startswith("Hello there,\n\nOrder 5F0C2E is ready and leaves")
    assert ITALIAN.mail(ready(customer_name=None, fulfilment="pickup"))[1].startswith(
        "Ciao,\n\nL'ordine 5F0C2E è pronto!"
    )


def test_every_reason_for_a_cancellation_is_told_in_every_language_of_its_own_words() -> None:
    for code in REASON_CODES - {"staff"}:
        event = cancelled(reason_code=code, missing_ingredients=("basilico", "olive"), language="it")
        assert "Too far away." not in ENGLISH.sms(event) + "".join(ENGLISH.mail(event)), code
    assert "(basilico, olive)" in ENGLISH.sms(
        cancelled(reason_code="sold_out", missing_ingredients=("basilico", "olive"), language="it")
    )
    assert "annullato, come hai chiesto. Non paghi" in ENGLISH.sms(cancelled(reason_code="customer", language="it"))
    for why in (None, "staff"):  # an old event, or words that somebody typed
        assert "annullato: Too far away. Non paghi nulla." in ENGLISH.sms(cancelled(reason_code=why, language="it"))


def test_a_supplier_is_written_to_in_the_shops_language() -> None:
    assert ENGLISH.purchase(purchase())[0] == "Purchase 7: 3,600 g of basil"
    assert "within 2 days" in ENGLISH.purchase(purchase())[1]
    assert "within 1 day." in ENGLISH.purchase(purchase(lead_days=1))[1]
    assert "as always today." in ENGLISH.purchase(purchase(lead_days=0))[1]
    assert "come sempre in giornata.\nIl nostro numero d'ordine è 7." in ITALIAN.purchase(purchase(lead_days=0))[1]
    assert "come sempre entro 1 giorno." in ITALIAN.purchase(purchase(lead_days=1))[1]
    assert ITALIAN.purchase(purchase())[0] == "Ordine n. 7: 3.600 g di basil"
