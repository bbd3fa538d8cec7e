"""The menu as JSON."""

from flask import Response, jsonify

from web.api import answers, blueprint
from web.counter import counter


@blueprint.get("/api/menu")
def menu() -> Response:
    """Show all that can be ordered."""
    here = counter()
    return jsonify(answers.menu(here.menu(), here.settings.currency))
