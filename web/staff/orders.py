"""Open orders, and those that the kitchen has given up."""

import structlog
from flask import Response, flash, make_response, redirect, render_template, request, url_for
from flask_login import current_user

from domain import kitchen, orders
from domain.kitchen import Kitchen
from domain.orders import Order, TooLateError, UnknownOrderError, code_of
from web.confirmation import NOT_SENT, Confirmation
from web.correlation import correlation_id
from web.counter import counter
from web.staff import blueprint

MAX_REASON = 140
_logger = structlog.get_logger(__name__)


@blueprint.get("")
def open_orders() -> Response:
    """Show them."""
    return _page("staff/orders.html")


@blueprint.get("/orders/list")
def open_orders_list() -> Response:
    """Show the part of the page that changes."""
    return _page("staff/orders_list.html")


@blueprint.post("/orders/<order_id:order_id>/cancel")
def cancel(order_id: str) -> Response:
    """Cancel an order that is not cooking yet."""
    reason, code = _reason(request.form.get("reason", ""))
    if not Confirmation().validate():
        return _back(NOT_SENT)
    try:
        order = counter().change(
            correlation_id(), lambda work: orders.cancel(work, order_id, reason, current_user.who, code)
        )
    except (TooLateError, UnknownOrderError) as error:
        return _back(str(error))
    _logger.info("order_cancelled", order_id=order_id)
    return _back(f"Order {order.code} is cancelled.")


@blueprint.post("/orders/<order_id:order_id>/send-back")
def send_back(order_id: str) -> Response:
    """Let the kitchen try a failed order again."""
    if not Confirmation().validate():
        return _back(NOT_SENT)
    oven = Kitchen(counter().settings)
    found = counter().change(correlation_id(), lambda work: oven.send_back(work, order_id))
    code = code_of(order_id)
    if not found:
        return _back(f"Order {code} is not waiting for this any more.")
    _logger.info("order_sent_back", order_id=order_id)
    return _back(f"Order {code} goes back to the oven.")


def _reason(typed: str) -> tuple[str, str]:
    """Make a sentence of what was typed, which customers read; gives its code too."""
    plain = " ".join("".join(char if char.isprintable() else " " for char in typed).split())[:MAX_REASON]
    if not plain:
        return "The pizzeria cannot make it today.", "unable"
    return plain if plain[-1] in ".!?" else f"{plain}.", "staff"


def _back(word: str) -> Response:
    flash(word)
    return make_response(redirect(url_for("staff.open_orders"), 303))


def _page(template: str) -> Response:
    failed: list[Order] = []
    with counter().database.read() as connection:
        given_up = kitchen.failed_orders(connection)
        current = orders.open_orders(connection)
        known = {order.id: order for order in current}
        failed = [known.get(i) or orders.get(connection, i) for i in sorted(given_up)]
    waiting = [order for order in current if order.id not in given_up]
    return make_response(render_template(template, orders=waiting, failed=failed, confirmation=Confirmation()))
