"""Transferring loyalty points as JSON: for our staff alone, by HTTP basic authentication."""

from collections.abc import Mapping
from typing import Annotated, Any

import structlog
from flask import Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain import loyalty
from domain.entry import Ask, explain
from domain.loyalty import OverdrawnError, Transfer, TransferError, Transferred, UnknownCustomerError
from domain.staff import Account
from web.api import answers, blueprint
from web.api.body import UnreadableError, read_json
from web.api.orders import KEY, KEY_HEADER
from web.api.staff import staff_only
from web.correlation import correlation_id
from web.counter import counter
from web.errors import problem, problems

_STATUS: Mapping[type[TransferError], int] = {OverdrawnError: 409, UnknownCustomerError: 404}
_logger = structlog.get_logger(__name__)


class TransferRequest(BaseModel):
    """Points for another customer."""

    model_config = ConfigDict(strict=True, extra="forbid")

    to: Annotated[
        str,
        Field(max_length=100, description="The id of the customer who gets them."),
        Ask("To", "Name the customer who gets the points by their id."),
    ]
    points: Annotated[
        int,
        Field(ge=1, le=loyalty.MOST),
        Ask("Points", f"Transfer a whole number of points, from 1 to {loyalty.MOST}."),
    ]


@blueprint.post("/api/customers/<customer_id:customer_id>/points/transfer")
@staff_only
def transfer(account: Account, customer_id: str) -> Response:
    """Transfer points from this customer to another."""
    key = request.headers.get(KEY_HEADER)
    if key is not None and not KEY.fullmatch(key):
        return problem(422, "Use 1 to 200 visible ASCII characters.", KEY_HEADER)
    try:
        wanted = TransferRequest.model_validate(read_json())
    except UnreadableError as error:
        return problem(error.status, str(error), "body")
    except ValidationError as error:
        return problems(422, explain(TransferRequest, error))
    asked = Transfer(customer_id, wanted.to, wanted.points, account.who, key)
    try:
        done, is_new = counter().change(correlation_id(), lambda work: loyalty.transfer(work, asked))
    except TransferError as error:
        return problem(_STATUS.get(type(error), 422), str(error), error.field)
    if is_new:
        _logger.info("points_transferred", transfer_id=done.id)
    answer = jsonify(_shown(done))
    answer.status_code = 201
    return answer


def _shown(done: Transferred) -> dict[str, Any]:
    return {
        "id": done.id,
        "from": done.sender,
        "to": done.recipient,
        "points": done.points,
        "balance": done.balance,
        "transferred_at": answers.moment(done.at),
    }
