"""The words of messages: a template for each event, channel and language, in the folder ``templates``.

Plain text: nothing that a customer wrote is ever read as markup or as a template. A mail's first line is its subject.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import jinja2
from babel.numbers import format_currency, format_decimal

from domain.events import (
    OrderCancelled,
    OrderDelivered,
    OrderEvent,
    OrderOutForDelivery,
    OrderPlaced,
    OrderReady,
    PurchaseEvent,
    PurchaseOrdered,
)
from domain.kernel.event import Event
from domain.orders import code_of
from domain.settings import Settings

TEMPLATES = Path(__file__).with_name("templates")

TOLD: Mapping[str, tuple[type[Event], ...]] = {
    "sms": (OrderPlaced, OrderReady, OrderOutForDelivery, OrderDelivered, OrderCancelled),
    "email": (OrderPlaced, OrderReady, OrderCancelled, PurchaseOrdered),
}
"""What is told by which channel."""

_LOCALES = {"en": "en_US", "it": "it_IT"}


class Texts:
    """The texts, in the customer's language, and in the shop's currency and time zone."""

    def __init__(self, settings: Settings) -> None:
        self._zone = settings.timezone
        self._language = settings.language

    def sms(self, event: OrderEvent) -> str:
        """Give the text for an event, on one line."""
        return " ".join(self._render(event, type(event).__name__, "sms", event.language).split())

    def mail(self, event: OrderEvent) -> tuple[str, str]:
        """Give subject and body of the mail for an event."""
        return _apart(self._render(event, type(event).__name__, "email", event.language))

    def purchase(self, event: PurchaseEvent) -> tuple[str, str]:
        """Give subject and body of the mail by which an ingredient is bought, in the shop's language."""
        return _apart(self._render(event, PurchaseOrdered.__name__, "email", None))

    def _render(self, event: Event, name: str, channel: str, language: str | None) -> str:
        language = language if language in _LOCALES else self._language  # of a later version's languages, we have none
        return _template(f"{name}.{channel}.{language}.txt", language, self._zone).render(
            {field: getattr(event, field) for field in event.__struct_fields__}
        )


@cache
def environment(language: str, zone: str) -> jinja2.Environment:
    """Give what the templates of a language are read with; a field that an event has not is an error."""
    here, locale = ZoneInfo(zone), _LOCALES[language]

    def clock(at: datetime) -> str:
        return at.astimezone(here).strftime("%H:%M")

    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701 - plain text, never HTML
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.filters |= {
        "clock": clock,
        "code": code_of,
        "money": lambda amount, currency: _money(amount, currency, locale),
        "number": lambda number: format_decimal(number, locale=locale),
    }
    return found


@cache
def _template(name: str, language: str, zone: str) -> jinja2.Template:
    return environment(language, zone).get_template(name)


@lru_cache(10_000)  # a tenth of a handler's time otherwise, and prices come again
def _money(amount: Decimal, currency: str, locale: str) -> str:
    # With a no-break space, a text message needs two bytes for every character of it.
    return format_currency(amount, currency, locale=locale).replace("\N{NO-BREAK SPACE}", " ")


def _apart(rendered: str) -> tuple[str, str]:
    subject, _, body = rendered.partition("\n")
    return subject, body.strip("\n")
