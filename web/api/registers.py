"""The registers as JSON: for each a list and its entries, to be read by our staff and changed by a manager."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from flask import Response, jsonify, request, url_for
from pydantic import ValidationError

from domain.entry import Entry, explain
from domain.kernel.unit_of_work import UnitOfWork
from domain.register import ConflictError, Kept, Register, RegisterError, UnknownEntryError
from domain.staff import Account
from web.api import blueprint
from web.api.body import UnreadableError, read_json
from web.api.staff import staff_only
from web.correlation import correlation_id
from web.counter import counter
from web.errors import problem, problems

_STATUS: Mapping[type[RegisterError], int] = {UnknownEntryError: 404, ConflictError: 409}
_logger = structlog.get_logger(__name__)


@blueprint.get("/api/<register:register>")
@staff_only
def read_register(_: Account, register: Register) -> Response:
    """Show the entries, or those after one of them."""
    with counter().database.read() as connection:
        return jsonify({register.name: register.read(connection, request.args.get("after", ""))})


@blueprint.get("/api/<register:register>/<entry_id>")
@staff_only
def read_entry(_: Account, register: Register, entry_id: str) -> Response:
    """Show one entry."""
    with counter().database.read() as connection:
        return jsonify(register.get(connection, entry_id))


@blueprint.post("/api/<register:register>")
@staff_only
def add_entry(account: Account, register: Register) -> Response:
    """Write down a new entry."""

    def step() -> Callable[[UnitOfWork], Kept]:
        entry = _read(register.entry)
        return lambda work: register.add(work, entry, account.who)

    answer = _change(account, register, step)
    if answer.status_code == 200:
        answer.status_code = 201
        entry_id = str(answer.get_json()["id"])
        answer.headers["Location"] = url_for("api.read_entry", register=register, entry_id=entry_id)
    return answer


@blueprint.put("/api/<register:register>/<entry_id>")
@staff_only
def change_entry(account: Account, register: Register, entry_id: str) -> Response:
    """Write down an entry anew; retired ones come back so."""

    def step() -> Callable[[UnitOfWork], Kept]:
        entry: Any = _read(register.change_of, entry_id)
        return lambda work: register.change(work, entry_id, entry, entry.version, account.who)

    return _change(account, register, step)


@blueprint.delete("/api/<register:register>/<entry_id>")
@staff_only
def remove_entry(account: Account, register: Register, entry_id: str) -> Response:
    """Retire an entry; with a version, as it was read."""
    version = request.args.get("version")
    return _change(account, register, lambda: lambda work: register.remove(work, entry_id, version, account.who))


@blueprint.errorhandler(RegisterError)
def not_done(error: RegisterError) -> Response:
    """Answer for what a register does not do."""
    return problem(_STATUS.get(type(error), 422), str(error), error.field)


def _change(account: Account, register: Register, step: Callable[[], Callable[[UnitOfWork], Kept]]) -> Response:
    if account.role != "manager":
        return problem(403, "Only a manager may change this.")
    try:
        kept = counter().change(correlation_id(), step())
    except UnreadableError as error:
        return problem(error.status, str(error), "body")
    except ValidationError as error:
        return problems(422, explain(register.change_of, error))
    _logger.info("register_changed", register=register.name, entry_id=kept["id"], how=request.endpoint)
    return jsonify(kept)


def _read(model: type[Entry], entry_id: str = "") -> Entry:
    """Read the entry that was sent. It may bear its own id: so what was read can be sent back."""
    payload = read_json()
    if isinstance(payload, dict) and entry_id and str(payload.get("id")) == entry_id:
        del payload["id"]
    return model.model_validate(payload, context={"region": counter().settings.region})
