"""The JSON API."""

from flask import Blueprint, Response

blueprint = Blueprint("api", __name__)

from web.api import (  # noqa: E402 - they add their routes to the blueprint
    events,  # noqa: F401
    menu,  # noqa: F401
    openapi,  # noqa: F401
    orders,  # noqa: F401
    points,  # noqa: F401
    registers,  # noqa: F401
    stream,  # noqa: F401
)


@blueprint.after_request
def _keep_nowhere(answer: Response) -> Response:
    """Keep what may be personal out of every cache on its way."""
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer
