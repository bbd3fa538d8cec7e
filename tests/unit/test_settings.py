import stat
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from domain.settings import Settings, SettingsError, settings

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PIZZERIA_HOME", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_a_pizzeria_without_settings_is_embedded_and_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIZZERIA_HOME")
    shop = settings()
    assert shop.embedded_database
    assert shop.embedded_broker
    assert (shop.host, shop.port, shop.flower_port, shop.home) == ("127.0.0.1", 8000, 5555, Path("var"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "eighty"),
        ("OVEN_CAPACITY", "0"),
        ("TAX_RATE", "1"),
        ("TIMEZONE", "Mars/Olympus"),
        ("TIMEZONE", "../etc/passwd"),
        ("CURRENCY", "PIZZA"),
        ("REGION", "XX"),
        ("KITCHEN", "robot"),
        ("TRUSTED_PROXIES", "-1"),
        ("OVEN", "faulty:UPPER"),
        ("OVEN", "faulty:"),
        ("PUBLIC_URL", "https://shop.example/path"),
        ("STRIPE_URL", "stripe.example"),
        ("TWILIO_URL", "ftp://twilio.example"),
        ("TWILIO_ACCOUNT_SID", "AC 1"),
        ("DATABASE_URL", "foo"),
        ("DATABASE_URL", "postgresql://"),
        ("DATABASE_URL", "postgresql://h:xx/y"),
        ("DATABASE_URL", "mysql://a/b"),
        ("BROKER_URL", "foo"),
        ("BROKER_URL", "redis://127.0.0.1:xx/0"),
        ("BROKER_URL", "unix:///run/redis.sock"),
        ("BROKER_URL", "sqs://"),
        ("RESULTS_URL", "foo"),
        ("RESULTS_URL", "amqp://guest@localhost//"),
        ("EVENTS_AMQP_URL", "redis://host"),
        ("EVENTS_AMQP_URL", "amqp://host:port"),
        ("EVENTS_AMQP_EXCHANGE", "two words"),
        ("EVENTS_REDIS_STREAM", "x" * 201),
        ("EVENTS_REDIS_URL", "redis://"),
        ("EVENTS_REDIS_LENGTH", "0"),
        ("EVENTS_KAFKA_SERVERS", "kafka"),
        ("EVENTS_KAFKA_SERVERS", "kafka:9092, other:9092"),
        ("EVENTS_KAFKA_SERVERS", "kafka:٩٠٩٢"),
        ("EVENTS_KAFKA_TOPIC", "a/b"),
        ("EVENTS_KAFKA_SECURITY", "tls"),
        ("EVENTS_SNS_TOPIC", "arn:aws:sqs:eu-west-1:123456789012:t"),
        ("EVENTS_SNS_URL", "sns.example"),
    ],
)
def test_a_wrong_setting_is_named_in_one_sentence(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"PIZZERIA_{name}", value)
    with pytest.raises(SettingsError, match=f"PIZZERIA_{name}: ") as problem:
        settings()
    assert "\n" not in str(problem.value)
    assert "pattern" not in str(problem.value), "nobody has to read a regular expression"


@pytest.mark.parametrize("pizza", ["diavola", "margherita-2", "маргарита"])
def test_the_oven_may_burn_any_pizza_that_a_menu_can_have(pizza: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIZZERIA_OVEN", f"faulty:{pizza}")
    assert settings().oven == f"faulty:{pizza}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://mario:mozz%2Farella@[::1]:5432/pizzeria?sslmode=require"),
        ("DATABASE_URL", "postgres://db/pizzeria"),
        ("DATABASE_URL", "postgresql:///pizzeria"),
        ("DATABASE_URL", "postgresql://?host=/run/postgresql"),
        ("BROKER_URL", "redis://:mozzarella@redis"),
        ("BROKER_URL", "rediss://redis:6379/0?ssl_cert_reqs=required"),
        ("BROKER_URL", "amqps://guest:guest@rabbit//"),
        ("RESULTS_URL", "rediss://redis/1"),
    ],
)
def test_servers_are_named_by_urls_of_many_a_form(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"PIZZERIA_{name}", value)
    assert getattr(settings(), name.lower()).get_secret_value() == value


@pytest.mark.parametrize(
    ("name", "value", "missing"),
    [
        ("EVENTS_KAFKA_SECURITY", "sasl_ssl", "EVENTS_KAFKA_PASSWORD"),
        ("EVENTS_SNS_KEY_ID", "AKIA", "EVENTS_SNS_KEY"),
    ],
)
def test_a_setting_that_wants_another_says_so(
    name: str, value: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"PIZZERIA_{name}", value)
    with pytest.raises(SettingsError, match=rf"PIZZERIA_{missing}\b") as problem:
        settings()
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("name", ["KITCHEN", "DELIVERY"])
def test_what_is_still_to_come_is_refused_in_one_clear_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"PIZZERIA_{name}", "staff")
    with pytest.raises(SettingsError) as problem:
        settings()
    reason = "only auto can be chosen, since there are no pages for doing it by hand yet"
    assert str(problem.value) == f"Wrong setting: PIZZERIA_{name}: {reason}."


def test_nobody_is_believed_about_callers_and_flower_is_local_unless_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIZZERIA_HOST", "0.0.0.0")
    assert (settings().trusted_proxies, settings().flower_host) == (0, "127.0.0.1")


def test_money_and_rates_are_decimal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIZZERIA_TAX_RATE", "0.1")
    assert settings().tax_rate == Decimal("0.1")


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIZZERIA_DATABASE_URL", "")
    assert settings().embedded_database


def test_a_secret_is_read_from_the_file_that_its_variable_names(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "given").write_text("four-seasons\n")
    monkeypatch.setenv("PIZZERIA_STAFF_PASSWORD_FILE", str(home / "given"))
    assert settings().secret("staff_password") == "four-seasons"


def test_an_empty_variable_leaves_it_to_its_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "given").write_text("-----BEGIN CERTIFICATE-----\n")
    monkeypatch.setenv("PIZZERIA_EVENTS_KAFKA_CA", "")
    monkeypatch.setenv("PIZZERIA_EVENTS_KAFKA_CA_FILE", str(home / "given"))
    monkeypatch.setenv("PIZZERIA_EVENTS_SNS_KEY_FILE", "")
    assert (settings().events_kafka_ca, settings().events_sns_key) == ("-----BEGIN CERTIFICATE-----", None)


def test_a_variable_wins_over_its_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "given").write_text("from the file")
    monkeypatch.setenv("PIZZERIA_SECRET_KEY_FILE", str(home / "given"))
    monkeypatch.setenv("PIZZERIA_SECRET_KEY", "from the variable")
    assert settings().secret("secret_key") == "from the variable"


def test_a_secret_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIZZERIA_STAFF_PASSWORD_FILE", "/nowhere/at/all")
    with pytest.raises(SettingsError, match=r"PIZZERIA_STAFF_PASSWORD_FILE: cannot read /nowhere/at/all"):
        settings()


def test_a_missing_secret_is_made_up_once_and_kept_for_us_alone(home: Path) -> None:
    made_up = settings().secret("secret_key")
    assert len(made_up) >= 32
    assert Settings().secret("secret_key") == made_up
    assert stat.S_IMODE((home / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == ["secret_key"]


def test_secrets_are_not_shown_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIZZERIA_DATABASE_URL", "postgresql://mario:mozzarella@db/pizzeria")
    assert "mozzarella" not in repr(settings())


def test_without_servers_a_sentence_says_how_to_get_them() -> None:
    with pytest.raises(SettingsError, match=r"pizzeria services.*PIZZERIA_DATABASE_URL"):
        settings().database()


def test_the_servers_are_found_where_they_were_written_down(home: Path) -> None:
    (home / "services.json").write_text('{"database_url": "postgresql://here", "broker_url": "redis://there"}')
    assert settings().database() == "postgresql://here"
    assert settings().broker() == "redis://there"
    assert settings().results() == "redis://there"


def test_a_rabbitmq_needs_a_redis_for_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIZZERIA_BROKER_URL", "amqp://guest@localhost//")
    with pytest.raises(SettingsError, match="PIZZERIA_RESULTS_URL"):
        settings().results()
