"""The Stripe adapter against a server that speaks Stripe's protocol."""

from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr, ValidationError

from domain.settings import Settings
from tasks.bus.retry import Permanent, Wait
from tasks.gateways import http
from tasks.gateways.payment import Charge, Declined, Held, PaymentUnavailableError
from tasks.gateways.stripe import Stripe
from tests.fakes import stripe as fake
from tests.fakes.stripe import FakeStripe

pytestmark = pytest.mark.unit

CHARGE = Charge("order", 2350, "USD", fake.GOOD)


@pytest.fixture
def service() -> Iterator[FakeStripe]:
    with fake.running() as server:
        yield server
    http.client().close()
    http.client.cache_clear()


def adapter(service: FakeStripe, secret: str = fake.SECRET) -> Stripe:
    return Stripe(Settings(payment="stripe", stripe_url=service.url, stripe_secret_key=SecretStr(secret)))


def test_an_amount_is_held_and_not_taken(service: FakeStripe) -> None:
    answer = adapter(service).authorise(CHARGE, "key")
    assert isinstance(answer, Held)
    assert service.intents[answer.reference] == {
        "id": answer.reference,
        "object": "payment_intent",
        "amount": 2350,
        "currency": "usd",
        "status": "requires_capture",
    }


def test_the_same_key_holds_once(service: FakeStripe) -> None:
    ours = adapter(service)
    assert ours.authorise(CHARGE, "key") == ours.authorise(CHARGE, "key")
    assert len(service.intents) == 1


def test_an_answer_that_is_lost_is_asked_for_again_with_the_same_key(service: FakeStripe) -> None:
    ours = adapter(service)
    service.mood = "mute"
    with pytest.raises(PaymentUnavailableError):
        ours.authorise(CHARGE, "key")
    service.mood = "well"
    assert isinstance(ours.authorise(CHARGE, "key"), Held)
    assert len(service.intents) == 1


def test_a_refused_card_is_declined_in_stripes_words(service: FakeStripe) -> None:
    refused = Charge("order", 2350, "USD", fake.REFUSED)
    assert adapter(service).authorise(refused, "key") == Declined("Your card was declined.")


@pytest.mark.parametrize(
    ("take", "status"),
    [(Stripe.capture, "succeeded"), (Stripe.void, "canceled")],
)
def test_what_is_held_is_taken_or_let_go_once_with_whatever_key(
    service: FakeStripe, take: Callable[..., None], status: str
) -> None:
    ours = adapter(service)
    held = ours.authorise(CHARGE, "key")
    assert isinstance(held, Held)
    take(ours, held.reference, "one")
    take(ours, held.reference, "one")
    take(ours, held.reference, "two")
    assert service.intents[held.reference]["status"] == status


def test_what_was_let_go_cannot_be_taken(service: FakeStripe) -> None:
    ours = adapter(service)
    held = ours.authorise(CHARGE, "key")
    assert isinstance(held, Held)
    ours.void(held.reference, "one")
    with pytest.raises(Permanent):
        ours.capture(held.reference, "two")


def test_what_was_taken_is_given_back_once(service: FakeStripe) -> None:
    ours = adapter(service)
    held = ours.authorise(CHARGE, "key")
    assert isinstance(held, Held)
    ours.capture(held.reference, "one")
    ours.refund(held.reference, "two")
    ours.refund(held.reference, "three")
    assert service.refunds == [held.reference]


@pytest.mark.parametrize(("mood", "error"), [("busy", Wait), ("down", PaymentUnavailableError)])
def test_what_may_pass_is_told_from_what_may_not(service: FakeStripe, mood: str, error: type[Exception]) -> None:
    service.mood = mood
    with pytest.raises(error):
        adapter(service).authorise(CHARGE, "key")


def test_a_wrong_secret_and_an_unknown_card_are_for_good(service: FakeStripe) -> None:
    with pytest.raises(Permanent):
        adapter(service, "sk_test_wrong").authorise(CHARGE, "key")
    with pytest.raises(Permanent):
        adapter(service).authorise(Charge("order", 2350, "USD", "pm_unknown"), "another")


def test_nobody_who_answers_is_a_service_that_is_away(service: FakeStripe) -> None:
    ours = Stripe(Settings(payment="stripe", stripe_url="http://127.0.0.1:9", stripe_secret_key=SecretStr("s")))
    with pytest.raises(PaymentUnavailableError):
        ours.authorise(CHARGE, "key")


def test_stripe_needs_its_secret_key() -> None:
    with pytest.raises(ValidationError, match="PIZZERIA_STRIPE_SECRET_KEY"):
        Settings(payment="stripe")
