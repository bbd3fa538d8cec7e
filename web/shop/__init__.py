"""The shop: the menu with its order form, and the page on which an order is followed."""

from flask import Blueprint

blueprint = Blueprint("shop", __name__)

from web.shop import ordering, tracking  # noqa: E402, F401 - they add their routes to the blueprint
