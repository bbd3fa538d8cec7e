"""A web application that tells which process answers."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def app(_: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer with the process's id."""
    who = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(who)))])
    return [who]
