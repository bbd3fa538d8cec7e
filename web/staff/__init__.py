"""The staff's pages: behind a login."""

from flask import Blueprint

blueprint = Blueprint("staff", __name__, url_prefix="/staff")

from web.staff import customers, figures, login, messages, orders, registers, sold_out, stock  # noqa: E402, F401 - they add routes
