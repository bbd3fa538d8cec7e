"""The JSON API."""

from flask import Blueprint

blueprint = Blueprint("api", __name__)

from web.api import menu, openapi, orders, stream  # noqa: E402, F401 - they add their routes to the blueprint
