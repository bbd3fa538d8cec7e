"""The JSON API."""

from flask import Blueprint, Response

blueprint = Blueprint("api", __name__)

from web.api import events, menu, openapi, orders, points, stream  # noqa: E402, F401 - they add their routes to the blueprint


@blueprint.after_request
def _keep_nowhere(answer: Response) -> Response:
    """Keep what may be personal out of every cache on its way."""
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer
