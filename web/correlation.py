"""The correlation id: taken from the request or made, bound to every log line, returned on every answer."""

import re

import structlog
from flask import Flask, Response, g, request
from uuid_utils.compat import uuid7

HEADER = "X-Correlation-ID"
ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")


def correlation_id() -> str:
    """Give this request's correlation id."""
    found: str = g.correlation_id
    return found


def register(app: Flask) -> None:
    """Give every request of the application a correlation id."""
    app.before_request(_begin)
    app.after_request(_return)


def _begin() -> None:
    given = request.headers.get(HEADER, "")
    g.correlation_id = given if ACCEPTED.fullmatch(given) else uuid7().hex
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(correlation_id=g.correlation_id)


def _return(response: Response) -> Response:
    if "correlation_id" in g:
        response.headers[HEADER] = g.correlation_id
    return response
