"""The staff's pages: behind a login."""

from flask import Blueprint

blueprint = Blueprint("staff", __name__, url_prefix="/staff")

from web.staff import login, messages, orders  # noqa: E402, F401 - they add their routes to the blueprint
