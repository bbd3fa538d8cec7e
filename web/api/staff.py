"""What of the API is for our staff alone: name and password with every request, by HTTP basic authentication."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from flask import Response, request

from domain.staff import Account
from web import credentials
from web.errors import problem
from web.limits import LOGGING_IN, limiter

P = ParamSpec("P")


def staff_only(view: Callable[Concatenate[Account, P], Response]) -> Callable[P, Response]:
    """Let only our staff in, and tell the view who it is. Guessing is limited, on all these addresses together."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
        sent = request.authorization
        account = credentials.check(sent.username, sent.password) if sent and sent.type == "basic" else None
        if account is None:
            answer = problem(401, "Please send name and password of our staff, by HTTP basic authentication.")
            answer.headers["WWW-Authenticate"] = 'Basic realm="staff", charset="UTF-8"'
            return answer
        return view(account, *args, **kwargs)

    limited: Callable[P, Response] = limiter.shared_limit(LOGGING_IN, scope="staff", deduct_when=_was_refused)(guarded)
    return limited


def _was_refused(answer: Response) -> bool:
    return answer.status_code == 401
