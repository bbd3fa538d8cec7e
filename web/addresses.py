"""Parts of addresses."""

from werkzeug.routing import BaseConverter


class OrderId(BaseConverter):
    """An order's id in a URL; anything else is no page at all."""

    regex = "[0-9a-f]{32}"
