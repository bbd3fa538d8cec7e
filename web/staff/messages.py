"""What customers were told, and a way to tell them again."""

import re

import structlog
from flask import Response, flash, make_response, redirect, render_template, request, url_for
from flask_login import current_user

from domain import messages
from domain.orders import ID_PATTERN
from web.confirmation import Confirmation
from web.correlation import correlation_id
from web.counter import counter
from web.staff import blueprint

_ORDER_ID = re.compile(ID_PATTERN)
_logger = structlog.get_logger(__name__)


@blueprint.get("/messages")
def message_list() -> Response:
    """Show the newest messages, or those about one order."""
    wanted = request.args.get("order", "")
    order_id = wanted if _ORDER_ID.fullmatch(wanted) else None
    with counter().database.read() as connection:
        found = messages.recent(connection, order_id=order_id)
    return make_response(
        render_template("staff/messages.html", messages=found, order_id=order_id, confirmation=Confirmation())
    )


@blueprint.post("/messages/resend")
def resend() -> Response:
    """Have a message sent once more."""
    key = request.form.get("key", "").replace("\0", "")
    if not Confirmation().validate():
        flash("That did not reach us. Please press the button once more.")
    else:
        try:
            order_id = counter().change(
                correlation_id(), lambda work: messages.request_again(work, key, str(current_user.id))
            )
            _logger.info("message_requested_again", order_id=order_id)
            flash("The message goes out once more; it appears here as a message of its own.")
        except messages.MessageError as error:
            flash(str(error))
    return make_response(redirect(url_for("staff.message_list"), 303))
