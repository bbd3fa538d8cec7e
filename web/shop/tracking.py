"""The page on which an order is followed."""

import structlog
from flask import Response, flash, make_response, redirect, render_template, url_for

from domain import orders
from domain.orders import Order, TooLateError, UnknownOrderError
from web.api.orders import CUSTOMER_CANCELLED
from web.confirmation import NOT_SENT, Confirmation
from web.correlation import correlation_id
from web.counter import counter
from web.limits import PLACING, limit
from web.shop import blueprint

_logger = structlog.get_logger(__name__)


@blueprint.get("/orders/<order_id:order_id>")
def track(order_id: str) -> Response:
    """Show how the order stands."""
    return _answer("shop/track.html", _read(order_id))


@blueprint.get("/orders/<order_id:order_id>/progress")
def progress(order_id: str) -> Response:
    """Show the part of the page that changes."""
    return _answer("shop/progress.html", _read(order_id))


@blueprint.post("/orders/<order_id:order_id>/cancel")
@limit(PLACING)
def cancel(order_id: str) -> Response:
    """Cancel the order, if it is not cooking yet."""
    if Confirmation().validate():
        try:
            counter().change(
                correlation_id(), lambda work: orders.cancel(work, order_id, CUSTOMER_CANCELLED, "customer", "customer")
            )
            _logger.info("order_cancelled", order_id=order_id)
        except TooLateError as error:
            flash(str(error))
    else:
        flash(NOT_SENT)
    return make_response(redirect(url_for("shop.track", order_id=order_id), 303))


@blueprint.errorhandler(UnknownOrderError)
def unknown(_error: UnknownOrderError) -> Response:
    """Answer for an order that there is not."""
    title, text = "We do not know this order", "Please check the address: every character of it counts."
    return make_response(render_template("error.html", title=title, text=text), 404)


def _read(order_id: str) -> Order:
    with counter().database.read() as connection:
        return orders.get(connection, order_id)


def _answer(template: str, order: Order) -> Response:
    answer = make_response(render_template(template, order=order, confirmation=Confirmation()))
    answer.headers["Cache-Control"] = "no-store"
    return answer
