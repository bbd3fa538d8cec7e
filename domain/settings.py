"""Every setting, read from the environment in this one place.

Each field is the variable ``PIZZERIA_<FIELD>``; a secret may also be given as ``PIZZERIA_<FIELD>_FILE``, the path of a
file that holds it (Docker and systemd hand out secrets so).
"""

import json
import os
import re
import secrets
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from email.utils import parseaddr
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.numbers import is_currency
from phonenumbers import SUPPORTED_REGIONS
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as SourceError

from domain.written import AccountSid, Oven, Servers, Site, SnsTopic, Target, Topic

PREFIX = "PIZZERIA_"

MOST_DRIVERS = 10_000
"""So many drivers the settings can name, numbered from 1; those whom the staff take on have higher numbers."""

Language = Literal["en", "it"]
LANGUAGES: tuple[str, ...] = get_args(Language)
"""The languages in which customers are written to; the templates of each are in ``domain/templates``."""

_SCHEMES = {
    "database_url": ("postgresql", "postgres"),
    "broker_url": ("redis", "rediss", "amqp", "amqps"),
    "results_url": ("redis", "rediss"),
    "events_amqp_url": ("amqp", "amqps"),
    "events_redis_url": ("redis", "rediss", "unix"),
}
_MAIL_ADAPTERS = frozenset({"console", "sandbox", "faulty"})
_TWILIO = ("twilio_account_sid", "twilio_auth_token", "twilio_from")


class SettingsError(Exception):
    """A setting is missing or wrong; the message says which and what to write instead."""


class _FileOrEnv(EnvSettingsSource):
    """Reads ``NAME_FILE`` where ``NAME`` itself is not set."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        if value is None and path:
            try:
                value = Path(path).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is no text"
                raise SettingsError(f"{PREFIX}{field_name.upper()}_FILE: cannot read {path}: {why}.") from error
        return value, key, is_complex


class Settings(BaseSettings):
    """The pizzeria's configuration. Seconds are seconds, money is Decimal, URLs are whole URLs."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", env_ignore_empty=True)

    home: Path = Path("var")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    flower_host: str = "127.0.0.1"
    public_url: Site | None = None
    flower_port: int = Field(5555, ge=1, le=65535)
    trusted_proxies: int = Field(0, ge=0, le=10)
    """How many proxies in front of the web may be believed: what they say of a caller's address, https and host."""

    database_url: SecretStr | None = None
    broker_url: SecretStr | None = None
    results_url: SecretStr | None = None
    bus: Literal["celery", "memory"] = "celery"

    staff_password: SecretStr | None = None
    flower_password: SecretStr | None = None
    secret_key: SecretStr | None = None

    bake_seconds: float = Field(10, ge=0, le=3600)
    drive_seconds: float = Field(10, ge=0, le=3600)
    oven_capacity: int = Field(10, ge=1, le=100_000)
    drivers: int = Field(3, ge=1, le=MOST_DRIVERS)
    kitchen: Literal["auto"] = "auto"
    delivery: Literal["auto"] = "auto"
    stock: Literal["seeded", "ample"] = "seeded"
    rate_limits: Literal["on", "off"] = "on"
    oven: Oven = "real"

    smtp_url: SecretStr = SecretStr("console")
    payment: Literal["sandbox", "stripe", "faulty"] = "sandbox"
    stripe_url: Site = "https://api.stripe.com"
    stripe_secret_key: SecretStr | None = None
    webhook_networks: str = ""
    """Networks, with commas between them, to which webhooks may be posted although they are private."""
    webhook_days: int = Field(5, ge=1, le=365)
    events_amqp_url: SecretStr | None = None
    events_amqp_exchange: Target = "mario-pizzeria"
    events_redis_url: SecretStr | None = None
    events_redis_stream: Target = "mario-pizzeria"
    events_redis_length: int = Field(100_000, ge=1, le=1_000_000_000)
    """About so many entries are kept in the stream; the oldest go."""
    events_kafka_servers: Servers | None = None
    events_kafka_topic: Topic = "mario-pizzeria"
    events_kafka_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    events_kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    events_kafka_user: str | None = None
    events_kafka_password: SecretStr | None = None
    events_kafka_ca: str | None = None
    """The certificate, in PEM, by which the servers are known, where the system does not know it."""
    events_sns_topic: SnsTopic | None = None
    events_sns_url: Site | None = None
    events_sns_key_id: str | None = None
    events_sns_key: SecretStr | None = None
    sms: Literal["console", "sandbox", "twilio", "faulty"] = "console"
    sms_per_number: int = Field(0, ge=0, le=1_000_000)
    sms_per_hour: int = Field(0, ge=0, le=1_000_000)
    """So many texts to one number, and in all, within any hour at the most; 0 for as many as there are."""
    twilio_url: Site = "https://api.twilio.com"
    twilio_account_sid: AccountSid | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_from: str | None = None
    """The shop's own number, or the sender's name where a country allows one."""
    mail_from: str = "Mario's Pizzeria <orders@marios.example>"

    currency: str = "USD"
    region: str = "US"
    language: Language = "en"
    """That of suppliers, and of customers who chose none."""
    timezone: str = "UTC"
    tax_rate: Decimal = Field(Decimal(0), ge=0, lt=1)

    keep_deliveries_days: int = Field(90, ge=1, le=36_500)

    web_workers: int = Field(2, ge=1, le=64)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **more: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments first, then the environment and the files it names."""
        return (more["init_settings"], _FileOrEnv(settings_cls))

    @field_validator("kitchen", "delivery", mode="before")
    @classmethod
    def _by_itself(cls, way: object) -> object:
        if way != "auto":
            raise ValueError("only auto can be chosen, since there are no pages for doing it by hand yet")
        return way

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("give a time zone's name, for example Europe/Rome") from error
        return name

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, code: str) -> str:
        if not is_currency(code):
            raise ValueError("give a currency's three-letter code, for example USD")
        return code

    @field_validator("webhook_networks")
    @classmethod
    def _known_networks(cls, networks: str) -> str:
        try:
            for network in filter(None, networks.split(",")):
                ip_network(network.strip())
        except ValueError as error:
            raise ValueError("give networks with commas between them, for example 127.0.0.0/8,::1/128") from error
        return networks

    @field_validator(*_SCHEMES)
    @classmethod
    def _known_server(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if url is not None:
            schemes = _SCHEMES[str(info.field_name)]
            try:
                parts = urlsplit(url.get_secret_value())
                somewhere = parts.hostname or parts.path or parts.query
                known = parts.scheme in schemes and somewhere and parts.port != 0
            except ValueError:  # a port that is none
                known = False
            if not known:
                raise ValueError(f"write {' or '.join(f'{scheme}://' for scheme in schemes)}, and where it is")
        return url

    @field_validator("smtp_url")
    @classmethod
    def _known_smtp(cls, url: SecretStr) -> SecretStr:
        given = url.get_secret_value()
        try:
            parts = urlsplit(given)
            known = parts.scheme in {"smtp", "smtps", "smtp+starttls"} and parts.hostname and parts.port != 0
        except ValueError:  # a port that is none
            known = False
        if given not in _MAIL_ADAPTERS and not known:
            raise ValueError("write console, sandbox, or smtp://, smtps:// or smtp+starttls:// with host and port")
        return url

    @field_validator("mail_from")
    @classmethod
    def _known_sender(cls, sender: str) -> str:
        address = parseaddr(sender)[1]
        if not sender.isprintable() or not re.fullmatch(r"[^@\s]+@[^@\s]+", address):
            raise ValueError("give the shop's name and address, for example Mario <orders@marios.example>")
        return sender

    @field_validator("region")
    @classmethod
    def _known_region(cls, code: str) -> str:
        if code not in SUPPORTED_REGIONS:
            raise ValueError("give a country's two-letter code, for example US")
        return code

    @model_validator(mode="after")
    def _knows_twilio(self) -> "Settings":
        needed = {f"{PREFIX}{name.upper()}": getattr(self, name) for name in _TWILIO}
        missing = [variable for variable, value in needed.items() if value is None]
        if self.sms == "twilio" and missing:
            raise ValueError(f"{PREFIX}SMS=twilio needs {', '.join(missing)} too")
        return self

    @model_validator(mode="after")
    def _knows_stripe(self) -> "Settings":
        if self.payment == "stripe" and self.stripe_secret_key is None:
            raise ValueError(f"{PREFIX}PAYMENT=stripe needs {PREFIX}STRIPE_SECRET_KEY too")
        return self

    @model_validator(mode="after")
    def _knows_targets(self) -> "Settings":
        login = (self.events_kafka_user, self.events_kafka_password)
        if self.events_kafka_security.startswith("sasl") and None in login:
            raise ValueError(
                f"{PREFIX}EVENTS_KAFKA_SECURITY={self.events_kafka_security} needs {PREFIX}EVENTS_KAFKA_USER"
                f" and {PREFIX}EVENTS_KAFKA_PASSWORD too"
            )
        if (self.events_sns_key_id is None) != (self.events_sns_key is None):
            raise ValueError(f"{PREFIX}EVENTS_SNS_KEY_ID and {PREFIX}EVENTS_SNS_KEY go together: set both, or none")
        return self

    @property
    def mail(self) -> str:
        """What takes mail: console, sandbox, faulty, or smtp for a server."""
        url = self.smtp_url.get_secret_value()
        return url if url in _MAIL_ADAPTERS else "smtp"

    @property
    def keep_deliveries(self) -> timedelta:
        """How long finished deliveries stay in the ledger."""
        return timedelta(days=self.keep_deliveries_days)

    @property
    def embedded_database(self) -> bool:
        """Whether the pizzeria runs its own PostgreSQL."""
        return self.database_url is None

    @property
    def embedded_broker(self) -> bool:
        """Whether the pizzeria runs its own Redis."""
        return self.broker_url is None

    def database(self) -> str:
        """Give the URL of the database: the configured one, or what ``pizzeria services`` wrote down.

        Raises SettingsError when neither is there.
        """
        return self.database_url.get_secret_value() if self.database_url else self._service("database_url")

    def broker(self) -> str:
        """Give the URL of the broker: the configured one, or what ``pizzeria services`` wrote down."""
        return self.broker_url.get_secret_value() if self.broker_url else self._service("broker_url")

    def results(self) -> str:
        """Give the URL of the Redis that keeps chord results and carries live hints: the broker's, if it is a Redis."""
        if self.results_url:
            return self.results_url.get_secret_value()
        broker = self.broker()
        if not broker.startswith("redis"):
            raise SettingsError(
                "PIZZERIA_RESULTS_URL is required with this broker: chords keep their results in Redis."
            )
        return broker

    def secret(self, name: Literal["staff_password", "flower_password", "secret_key"]) -> str:
        """Give a secret: the configured one, or one made up once and kept in ``HOME/<name>``, mode 0600."""
        given: SecretStr | None = getattr(self, name)
        if given:
            return given.get_secret_value()
        path = self.home / name
        if not path.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            self._write_secret(path, secrets.token_urlsafe(12 if name.endswith("password") else 32))
        return path.read_text().strip()

    @staticmethod
    def retry_of(handler: str) -> dict[str, float]:
        """Give the retry numbers that PIZZERIA_RETRY_<HANDLER> changes, written like ``times=3,first=0.5,cap=10``.

        Raises SettingsError for a name that no retry policy has, or no number.
        """
        variable = f"{PREFIX}RETRY_{handler.upper()}"
        changed: dict[str, float] = {}
        for part in filter(None, os.environ.get(variable, "").split(",")):
            name, _, value = part.strip().partition("=")
            if name not in {"times", "first", "cap", "jitter"} or not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
                raise SettingsError(f"{variable}: write it like times=3,first=0.5,cap=10,jitter=0.3.")
            if name == "times" and not value.isdecimal():
                raise SettingsError(f"{variable}: times is a whole number.")
            if float(value) > {"times": 1000, "first": 86_400, "cap": 86_400, "jitter": 1}[name]:
                raise SettingsError(f"{variable}: {name}={value} is too much.")
            changed[name] = float(value)
        return changed

    @staticmethod
    def refuse_unknown_retries(handlers: Iterable[str]) -> None:
        """Raise SettingsError if a PIZZERIA_RETRY_<HANDLER> is set for a handler that there is not."""
        known = {f"{PREFIX}RETRY_{handler.upper()}" for handler in handlers}
        for variable in sorted(os.environ):
            if variable.startswith(f"{PREFIX}RETRY_") and variable not in known:
                names = ", ".join(name.removeprefix(f"{PREFIX}RETRY_") for name in sorted(known))
                raise SettingsError(f"{variable}: no handler is called so; after RETRY_ comes one of {names}.")

    @staticmethod
    def _write_secret(path: Path, value: str) -> None:
        """Write a secret whole, once: of two processes that start together, both read the first one's."""
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(value)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()

    def _service(self, name: str) -> str:
        path = self.home / "services.json"
        try:
            return str(json.loads(path.read_text())[name])
        except (OSError, KeyError, ValueError) as error:
            raise SettingsError(
                f"No {name.replace('_url', '')} is known: run `pizzeria services` (or `make run`) first,"
                f" or set {PREFIX}{name.upper()}."
            ) from error


def explain(error: ValidationError) -> str:
    """Say in one sentence which settings are wrong."""
    problems = [_problem(e["loc"], e["msg"].removeprefix("Value error, ")) for e in error.errors()]
    return "Wrong setting: " + "; ".join(problems) + "."


def _problem(where: tuple[int | str, ...], what: str) -> str:
    return f"{PREFIX}{str(where[0]).upper()}: {what}" if where else what


@cache
def settings() -> Settings:
    """Give the process's settings, read once. Raises SettingsError with a sentence a person can act on."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(explain(error)) from error
    except SourceError as error:  # wraps whatever a source raised
        raise SettingsError(str(error.__cause__ or error)) from error
