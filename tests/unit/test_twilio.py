"""The Twilio adapter against a server that speaks Twilio's protocol."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from domain.settings import Settings, SettingsError, settings
from tasks.bus.retry import Permanent, Wait
from tasks.gateways import http, twilio
from tasks.gateways.twilio import SmsUnavailableError
from tests.fakes import twilio as fake
from tests.fakes.twilio import FakeTwilio, Sent

pytestmark = pytest.mark.unit


@pytest.fixture
def service() -> Iterator[FakeTwilio]:
    with fake.running() as server:
        yield server
    http.client().close()
    http.client.cache_clear()


def shop(service: FakeTwilio, **changed: object) -> Settings:
    account: dict[str, Any] = {
        "twilio_url": service.url,
        "twilio_account_sid": fake.ACCOUNT,
        "twilio_auth_token": SecretStr(fake.TOKEN),
        "twilio_from": fake.SENDER,
    }
    return Settings(sms="twilio", **(account | changed))


def test_a_text_goes_out_with_its_key_and_the_answer_is_twilios_own_name_for_it(service: FakeTwilio) -> None:
    answer = twilio.send(shop(service), "+12125550101", "Ecco: la pizza è pronta", "event:sms")
    assert answer.startswith("SM")
    assert service.journal == [Sent("event:sms", "+12125550101", "Ecco: la pizza è pronta")]


@pytest.mark.parametrize(
    ("number", "code"),
    [(fake.NO_NUMBER, 21211), (fake.UNREACHABLE, 21612), (fake.NO_MOBILE, 21614), (fake.SILENT, 21610)],
)
def test_a_number_that_cannot_be_reached_is_given_up_at_once(service: FakeTwilio, number: str, code: int) -> None:
    with pytest.raises(Permanent, match=f"error {code}"):
        twilio.send(shop(service), number, "Ready", "key")


def test_a_text_that_is_too_long_is_given_up_at_once(service: FakeTwilio) -> None:
    with pytest.raises(Permanent, match="21617"):
        twilio.send(shop(service), "+12125550101", "x" * 1601, "key")


@pytest.mark.parametrize(
    ("said", "seconds"), [("1", 1), ("999999999", twilio.MOST_SECONDS), ("²", twilio.BUSY_SECONDS)]
)
def test_a_service_with_too_much_to_do_is_waited_for_as_long_as_it_says_within_reason(
    service: FakeTwilio, said: str, seconds: float
) -> None:
    service.mood, service.retry_after = "busy", said
    with pytest.raises(Wait) as wait:
        twilio.send(shop(service), "+12125550101", "Ready", "key")
    assert wait.value.seconds == seconds


@pytest.mark.parametrize("mood", ["down", "mute"])
def test_a_service_that_is_down_or_gives_no_answer_is_tried_again(service: FakeTwilio, mood: str) -> None:
    service.mood = mood
    with pytest.raises(SmsUnavailableError):
        twilio.send(shop(service), "+12125550101", "Ready", "key")


def test_a_wrong_password_is_nothing_that_the_text_is_to_blame_for(service: FakeTwilio) -> None:
    with pytest.raises(SmsUnavailableError, match="20003"):
        twilio.send(shop(service, twilio_auth_token=SecretStr("wrong")), "+12125550101", "Ready", "key")


def test_no_error_tells_a_number_or_a_text(service: FakeTwilio) -> None:
    with pytest.raises(Permanent) as refused:
        twilio.send(shop(service), fake.NO_NUMBER, "Secret", "key")
    assert fake.NO_NUMBER not in str(refused.value)
    assert "Secret" not in str(refused.value)


def test_twilio_without_an_account_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIZZERIA_SMS", "twilio")
    monkeypatch.setenv("PIZZERIA_TWILIO_FROM", fake.SENDER)
    settings.cache_clear()
    with pytest.raises(SettingsError) as wrong:
        settings()
    assert str(wrong.value) == (
        "Wrong setting: PIZZERIA_SMS=twilio needs PIZZERIA_TWILIO_ACCOUNT_SID, PIZZERIA_TWILIO_AUTH_TOKEN too."
    )
    settings.cache_clear()
