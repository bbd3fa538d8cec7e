"""Parts of addresses."""

from flask import Flask, abort, request
from werkzeug.routing import BaseConverter

from domain import customers
from domain.orders import ID_PATTERN
from domain.register import Register
from domain.registers import registers


def register(app: Flask) -> None:
    """Refuse requests to a host that is none: the links in the answer would lead nowhere."""
    app.before_request(_refuse_no_host)
    app.url_map.converters["order_id"] = OrderId
    app.url_map.converters["customer_id"] = CustomerId
    app.url_map.converters["register"] = RegisterName


def _refuse_no_host() -> None:
    if not request.host:
        abort(400)


class OrderId(BaseConverter):
    """An order's id in a URL; anything else is no page at all."""

    regex = ID_PATTERN


class CustomerId(BaseConverter):
    """A customer's id in a URL."""

    regex = customers.ID_PATTERN


class RegisterName(BaseConverter):
    """A register's name in a URL."""

    regex = "|".join(registers())

    def to_python(self, value: str) -> Register:
        """Give the register."""
        return registers()[value]

    def to_url(self, value: Register | str) -> str:
        """Give its name."""
        return value if isinstance(value, str) else value.name
