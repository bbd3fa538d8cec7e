"""What people and programs are told when something is wrong: plain words, never what broke inside."""

from collections.abc import Mapping

import structlog
from flask import Flask, Response, jsonify, make_response, render_template, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from domain.kernel.origin import origin
from domain.kernel.unit_of_work import is_conflict, is_connection_loss
from domain.settings import SettingsError
from web.till import UnansweredError

_logger = structlog.get_logger(__name__)

BUSY = "We cannot take orders this moment; please try again."

_PLAIN: Mapping[int, tuple[str, str]] = {
    400: ("We could not read that", "Please go back and try again."),
    401: ("Please log in", "This page is for the people who work here."),
    403: ("Not for you", "You may not open this page."),
    404: ("Nothing here", "There is no such page. Maybe the address was mistyped?"),
    405: ("That does not work here", "This address does not take such requests."),
    413: ("Too much at once", "What you sent is too long. Please send less."),
    415: ("Wrong kind of data", "Please send JSON, with Content-Type application/json."),
    429: ("One moment, please", "That were many requests in a short time. Please wait a minute and try again."),
    500: ("That is our fault", "Something went wrong in the kitchen. Please try again; nothing was charged."),
    503: ("We are a little overwhelmed", BUSY),
}


def problem(status: int, text: str, field: str = "") -> Response:
    """Answer a program: one problem, in the shape that all of them have."""
    return problems(status, {field: text})


def problems(status: int, found: Mapping[str, str]) -> Response:
    """Answer a program: a problem per field."""
    answer = jsonify({"errors": [{"field": field, "problem": text} for field, text in found.items()]})
    answer.status_code = status
    return answer


def register(app: Flask) -> None:
    """Make the application answer every error in plain words."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _http(error: HTTPException) -> Response:
    if error.response is not None or error.code is None or error.code < 400:
        return make_response(error.get_response())
    status = error.code
    answer = _answer(status)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        answer.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    if status == 429:
        answer.headers["Retry-After"] = "60"
    return answer


def _unexpected(error: Exception) -> Response:
    if type(error).__module__.startswith("gunicorn.http"):  # a body whose framing is broken, found while it is read
        return _answer(400)
    away = isinstance(error, SettingsError | UnansweredError) or (
        isinstance(error, SQLAlchemyError) and (is_connection_loss(error) or is_conflict(error))
    )
    if away:
        _logger.warning("database_away", error=type(error).__name__)
    else:
        _logger.error("request_failed", error=type(error).__name__, path=request.path, where=origin(error))
    answer = _answer(503 if away else 500)
    if away:
        answer.headers["Retry-After"] = "1"
    return answer


def _answer(status: int) -> Response:
    title, text = _PLAIN.get(status, _PLAIN[400] if status < 500 else _PLAIN[500])
    if request.path.startswith("/api/") or request.path == "/openapi.json":
        return problem(status, text)
    answer = make_response(render_template("error.html", title=title, text=text), status)
    answer.headers["Cache-Control"] = "no-store"
    return answer
