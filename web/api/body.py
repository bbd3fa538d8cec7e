"""The body of a request, read strictly: JSON in UTF-8, no name twice, no numbers that JSON does not have."""

import json
from typing import Any, NoReturn

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

MAX_BODY = 64 * 1024
"""Bytes. The application's own limit must be one more: a body sent in pieces is cut off there without a word."""


class UnreadableError(Exception):
    """The body is no JSON that can be trusted to say one thing. ``status`` is what to answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def read_json() -> object:
    """Read this request's body. Raises UnreadableError, or RequestEntityTooLarge."""
    if request.mimetype != "application/json":
        raise UnreadableError(415, "Please send JSON, with Content-Type application/json.")
    data = request.get_data(cache=False)
    if len(data) > MAX_BODY:
        raise RequestEntityTooLarge
    try:
        return json.loads(data.decode(), object_pairs_hook=_each_once, parse_constant=_refuse)
    except RecursionError:
        raise UnreadableError(400, "This JSON is nested too deeply.") from None
    except _TwiceError:
        raise UnreadableError(400, "This JSON has a name twice in one object.") from None
    except ValueError:
        raise UnreadableError(400, "This is no valid JSON.") from None


class _TwiceError(ValueError):
    pass


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
