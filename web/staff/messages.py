"""What customers were told, and a way to tell them again."""

import re
from collections.abc import Callable, Mapping

import structlog
from flask import Response, flash, make_response, redirect, render_template, request, url_for
from flask_login import current_user

from domain import messages
from domain.kernel.unit_of_work import UnitOfWork
from domain.orders import ID_PATTERN
from web.confirmation import NOT_SENT, Confirmation
from web.correlation import correlation_id
from web.counter import counter
from web.staff import blueprint

_ORDER_ID = re.compile(ID_PATTERN)
_logger = structlog.get_logger(__name__)


@blueprint.get("/messages")
def message_list() -> Response:
    """Show the newest messages, or those about one order."""
    order_id = _order(request.args)
    with counter().database.read() as connection:
        found = messages.recent(connection, order_id=order_id)
    return make_response(
        render_template("staff/messages.html", messages=found, order_id=order_id, confirmation=Confirmation())
    )


@blueprint.post("/messages/resend")
def resend() -> Response:
    """Have a message sent once more."""

    def act(work: UnitOfWork, key: str) -> str:
        messages.request_again(work, key, current_user.who)
        return "The message is asked for once more; it appears here as a message of its own."

    return _act("message_requested_again", act)


@blueprint.post("/messages/abort")
def abort() -> Response:
    """Have a message not sent any more."""

    def act(work: UnitOfWork, key: str) -> str:
        new = messages.abort(work, key, current_user.who)
        return "The message is aborted: nobody tries it again." if new else "The message was aborted before."

    return _act("message_aborted", act)


def _act(logged: str, act: Callable[[UnitOfWork, str], str]) -> Response:
    """Do to a message what a button says, and lead back to the list that it stood in."""
    key = request.form.get("key", "").replace("\0", "")
    if not Confirmation().validate():
        flash(NOT_SENT)
    else:
        try:
            flash(counter().change(correlation_id(), lambda work: act(work, key)))
            _logger.info(logged, key=key)
        except messages.MessageError as error:
            flash(str(error))
    return make_response(redirect(url_for("staff.message_list", order=_order(request.form)), 303))


def _order(given: Mapping[str, str]) -> str | None:
    wanted = given.get("order", "")
    return wanted if _ORDER_ID.fullmatch(wanted) else None
