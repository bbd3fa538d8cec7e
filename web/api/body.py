"""The body of a request, read strictly: JSON in UTF-8, no name twice, no numbers that JSON does not have."""

import json
from typing import Any, NoReturn

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

JSON = "application/json"
MAX_BODY = 64 * 1024
"""Bytes. The application's own limit must be one more: a body sent in pieces is cut off there without a word."""


class UnreadableError(Exception):
    """The body is no JSON that can be trusted to say one thing. ``status`` is what to answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def read_json() -> object:
    """Read this request's body. Raises UnreadableError, or RequestEntityTooLarge."""
    return parse(read_bytes(JSON))


def read_bytes(*kinds: str) -> bytes:
    """Read this request's body as it came, if it is of one of these kinds. Raises as ``read_json`` does."""
    if request.mimetype not in kinds:
        raise UnreadableError(415, f"Please send JSON, with Content-Type {' or '.join(kinds)}.")
    data = request.get_data(cache=False)
    if len(data) > MAX_BODY:
        raise RequestEntityTooLarge
    return data


def parse(data: bytes) -> object:
    """Read JSON strictly. Raises UnreadableError."""
    try:
        return _DECODER.decode(data.decode())
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


_DECODER = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_refuse)
