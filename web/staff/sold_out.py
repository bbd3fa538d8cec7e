"""86: what is sold out today, by hand or because the store has too little."""

import structlog
from flask import Response, flash, make_response, redirect, render_template, request, url_for

from domain import eighty_six, menu
from domain.eighty_six import UnknownPizzaError
from web.confirmation import NOT_SENT, Confirmation
from web.correlation import correlation_id
from web.counter import counter
from web.staff import blueprint

_logger = structlog.get_logger(__name__)


@blueprint.get("/sold-out")
def sold_out() -> Response:
    """Show every pizza, and whether it can be ordered."""
    with counter().database.read() as connection:
        card, off = menu.read(connection), eighty_six.off_today(connection)
    return make_response(render_template("staff/sold_out.html", menu=card, off=off, confirmation=Confirmation()))


@blueprint.post("/sold-out/off")
def take_off() -> Response:
    """Take a pizza off the menu for the rest of the day."""
    return _change("off")


@blueprint.post("/sold-out/back")
def bring_back() -> Response:
    """Put a pizza back on the menu."""
    return _change("back")


def _change(how: str) -> Response:
    pizza = request.form.get("pizza", "").replace("\0", "")[:100]
    here = counter()
    if not Confirmation().validate():
        flash(NOT_SENT)
    else:
        try:
            if how == "off":
                here.change(correlation_id(), lambda work: eighty_six.take_off(work, pizza, here.settings))
                flash("It is off the menu for the rest of the day.")
            else:
                here.change(correlation_id(), lambda work: eighty_six.bring_back(work, pizza))
                flash("It is on the menu again, as long as the store has what it takes.")
            _logger.info("menu_changed", pizza=pizza, how=how)
        except UnknownPizzaError:
            flash("There is no such pizza.")
    return make_response(redirect(url_for("staff.sold_out"), 303))
