"""Placing, reading and cancelling an order as JSON."""

import re

import structlog
from flask import Response, jsonify, request

from domain import orders
from domain.basket import InvalidOrderError
from domain.orders import TooLateError, UnknownOrderError
from domain.placing import KeyReusedError
from web.api import answers, blueprint
from web.api.body import UnreadableError, read_json
from web.correlation import correlation_id
from web.counter import counter
from web.errors import problem, problems
from web.limits import PLACING, limit
from web.order_request import read_order

KEY_HEADER = "Idempotency-Key"
CUSTOMER_CANCELLED = "Cancelled by the customer."

KEY = re.compile("[!-~]{1,200}")
_logger = structlog.get_logger(__name__)


@blueprint.post("/api/orders")
@limit(PLACING)
def place() -> Response:
    """Take an order."""
    here = counter()
    key = request.headers.get(KEY_HEADER)
    if key is not None and not KEY.fullmatch(key):
        return problem(422, "Use 1 to 200 visible ASCII characters.", KEY_HEADER)
    try:
        new = read_order(read_json(), here.settings.region, here.menu)
        order, is_new = here.place(new, correlation_id(), key)
    except UnreadableError as error:
        return problem(error.status, str(error), "body")
    except InvalidOrderError as error:
        return problems(422, error.problems)
    except KeyReusedError as error:
        return problem(422, str(error), KEY_HEADER)
    if is_new:
        _logger.info("order_placed", order_id=order.id)
    answer = jsonify(answers.placed(order))
    answer.status_code = 201
    answer.headers["Location"] = f"/api/orders/{order.id}"
    return answer


@blueprint.get("/api/orders/<order_id:order_id>")
def show(order_id: str) -> Response:
    """Show an order as it stands."""
    with counter().database.read() as connection:
        return jsonify(answers.whole(orders.get(connection, order_id)))


@blueprint.post("/api/orders/<order_id:order_id>/cancel")
@limit(PLACING)
def cancel(order_id: str) -> Response:
    """Cancel an order that is not cooking yet."""
    try:
        order = counter().change(
            correlation_id(), lambda work: orders.cancel(work, order_id, CUSTOMER_CANCELLED, "customer", "customer")
        )
    except TooLateError as error:
        return problem(409, str(error))
    _logger.info("order_cancelled", order_id=order_id)
    return jsonify(answers.whole(order))


@blueprint.errorhandler(UnknownOrderError)
def unknown(error: UnknownOrderError) -> Response:
    """Answer for an order that there is not."""
    return problem(404, str(error))
