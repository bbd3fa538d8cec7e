"""The registers as pages: a list and a form for each, drawn from what the register says of its fields."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from flask import Response, abort, flash, make_response, redirect, render_template, request, url_for
from flask_login import current_user
from pydantic import ValidationError
from sqlalchemy import Connection

from domain.entry import Ask, asks, explain
from domain.register import ConflictError, Kept, Register, RegisterError, UnknownEntryError
from domain.registers import registers
from web.confirmation import NOT_SENT, Confirmation
from web.correlation import correlation_id
from web.counter import counter
from web.staff import blueprint

_NUMBER = re.compile("[0-9]{1,15}")
_PART = re.compile("([^ ]+) ([0-9]{1,7})")
_CHANGED = "Somebody else changed this meanwhile, so what you typed is not kept."
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Control:
    """A field as a form shows it: what is in it, what is wrong with it (``wrong``: and where), and what to choose."""

    name: str
    ask: Ask
    value: Any
    problem: str
    choices: Mapping[str, str]
    wrong: frozenset[str] = frozenset()


@blueprint.get("/lists")
def register_list() -> Response:
    """Show which registers there are."""
    return make_response(
        render_template("staff/registers.html", registers=registers().values(), confirmation=Confirmation())
    )


@blueprint.get("/lists/<register:register>")
def register(register: Register) -> Response:
    """Show a register's entries, retired ones last; where there are many, those after one of them."""
    after = request.args.get("after", "")
    try:
        with counter().database.read() as connection:
            entries = register.read(connection, after)
            choices = _choices(register, connection)
    except UnknownEntryError:
        abort(404)
    page = render_template(
        "staff/register.html",
        register=register,
        lines=[(entry, _summary(register, entry, choices)) for entry in entries],
        after=after,
        older=entries[-1]["id"] if len(entries) == register.most else "",
        confirmation=Confirmation(),
    )
    return make_response(page)


@blueprint.get("/new/<register:register>")
def new_entry(register: Register) -> Response:
    """Show the form for something new."""
    _managers_only()
    fresh = {name: field.get_default(call_default_factory=True) for name, field in register.entry.model_fields.items()}
    return _form(register, None, {name: _shown(asks(register.entry)[name], value) for name, value in fresh.items()})


@blueprint.post("/new/<register:register>")
def add_entry(register: Register) -> Response:
    """Write down something new."""
    return _save(register, None)


@blueprint.get("/lists/<register:register>/<entry_id>")
def entry(register: Register, entry_id: str) -> Response:
    """Show the form for an entry."""
    _managers_only()
    try:
        with counter().database.read() as connection:
            kept = register.get(connection, entry_id)
    except UnknownEntryError:
        abort(404)
    return _form(register, kept, {name: _shown(ask, kept[name]) for name, ask in asks(register.entry).items()})


@blueprint.post("/lists/<register:register>/<entry_id>")
def change_entry(register: Register, entry_id: str) -> Response:
    """Write an entry down anew."""
    try:
        with counter().database.read() as connection:
            kept = register.get(connection, entry_id)
    except UnknownEntryError:
        abort(404)
    return _save(register, kept | {"version": request.form.get("version", "")})


def _managers_only() -> None:
    if current_user.role != "manager":
        abort(403)


def _save(register: Register, kept: Kept | None) -> Response:
    """Keep what was typed, or show it again with what is wrong with it."""
    _managers_only()
    typed = {name: _typed(name, ask) for name, ask in asks(register.entry).items()}
    if not Confirmation().validate():
        return _form(register, kept, typed, {"": NOT_SENT})
    payload = {name: _read(ask, typed[name]) for name, ask in asks(register.entry).items()}
    context, by = {"region": counter().settings.region}, current_user.who
    try:
        if kept is None:
            entry: Any = register.entry.model_validate(payload, context=context)
            done = counter().change(correlation_id(), lambda work: register.add(work, entry, by))
        else:
            entry = register.change_of.model_validate(payload | {"version": kept["version"]}, context=context)
            entry_id = str(kept["id"])
            done = counter().change(
                correlation_id(), lambda work: register.change(work, entry_id, entry, entry.version, by)
            )
    except ValidationError as error:
        return _form(register, kept, typed, explain(register.change_of, error))
    except ConflictError as error:
        return _form(register, kept, typed, {error.field: str(error)}, 409)
    except RegisterError as error:
        return _form(register, kept, typed, {error.field: str(error)})
    _logger.info("register_changed", register=register.name, entry_id=done["id"], how=request.endpoint)
    flash(f"{done['name']} is written down.")
    return make_response(redirect(url_for("staff.register", register=register), 303))


def _form(
    register: Register,
    kept: Kept | None,
    values: Mapping[str, Any],
    problems: Mapping[str, str] | None = None,
    status: int = 422,
) -> Response:
    problems = dict(problems or {})
    with counter().database.read() as connection:
        choices = _choices(register, connection)
    controls = []
    for name, ask in asks(register.entry).items():
        mine = {path: problems.pop(path) for path in list(problems) if path.split(".")[0] == name}
        said = [_whose(path, choices.get(name, {})) + problem for path, problem in mine.items()]
        controls.append(Control(name, ask, values[name], " ".join(said), choices.get(name, {}), frozenset(mine)))
    page = render_template(
        "staff/entry.html",
        register=register,
        kept=kept,
        controls=controls,
        others=_CHANGED if "version" in problems else " ".join(problems.values()),
        changed="version" in problems,
        confirmation=Confirmation(),
    )
    return make_response(page, status if any(c.problem for c in controls) or problems else 200)


def _whose(path: str, sizes: Mapping[str, str]) -> str:
    """Name the size that a problem such as that of ``sizes.large.price`` is about."""
    size = path.split(".")[1] if "." in path else ""
    return f"{sizes[size]}: " if size in sizes else ""


def _choices(register: Register, connection: Connection) -> dict[str, dict[str, str]]:
    """Give what can be chosen in each field that names an entry of another register, and the sizes of what has some."""
    found = {}
    for name, ask in asks(register.entry).items():
        of = "sizes" if ask.control == "offers" else ask.of
        if of:
            found[name] = {
                entry["id"]: entry["name"] + (" (retired)" if entry["retired"] else "")
                for entry in registers()[of].read(connection)
            }
    return found


def _summary(register: Register, entry: Kept, choices: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Say in a few words what an entry is."""
    words = []
    for name, ask in asks(register.entry).items():
        value = entry[name]
        if name in {"name", "retired", "position"} or value in (None, "", {}):
            continue
        if ask.control == "yes":
            words.append(ask.label if value else f"Not {ask.label.lower()}")
        elif ask.control == "offers":
            words += [f"{called} {value[size]['price']}" for size, called in choices[name].items() if size in value]
        elif ask.control == "long":
            words.append(value)
        else:
            words.append(f"{ask.label}: {choices.get(name, {}).get(value, value)}")
    return words


def _shown(ask: Ask, value: Any) -> Any:
    """Write a value as it stands in its control."""
    if ask.control == "yes":
        return value is True
    if ask.control == "offers":
        offers = value if isinstance(value, dict) else {}
        return {size: {"price": offer["price"], "recipe": _recipe(offer["recipe"])} for size, offer in offers.items()}
    return str(value) if isinstance(value, str | int) else ""


def _recipe(recipe: Mapping[str, int]) -> str:
    return "; ".join(f"{ingredient} {quantity}" for ingredient, quantity in sorted(recipe.items()))


def _typed(name: str, ask: Ask) -> Any:
    """Give what was typed into a control, to be read and, where it is wrong, shown again."""
    if ask.control == "yes":
        return name in request.form
    if ask.control != "offers":
        return _line(name)
    found: dict[str, dict[str, str]] = {}
    for field in request.form:
        kind, _, size = field.partition(":")
        if kind in {"price", "recipe"}:
            found.setdefault(size, {"price": "", "recipe": ""})[kind] = _line(field)
    return {size: offer for size, offer in found.items() if offer["price"] or offer["recipe"]}


def _line(name: str) -> str:
    return " ".join(request.form.get(name, "").split())


def _read(ask: Ask, typed: Any) -> Any:
    """Read what was typed as the API's JSON would have it; what cannot be read stays as it is, to be refused."""
    if ask.control == "number":
        return int(typed) if _NUMBER.fullmatch(typed) else typed or None
    if ask.control == "offers":
        return {size: {"price": offer["price"], "recipe": _parts(offer["recipe"])} for size, offer in typed.items()}
    return typed


def _parts(recipe: str) -> Any:
    """Read such as ``dough 250; tomato 90``."""
    found = [_PART.fullmatch(part.strip()) for part in recipe.split(";") if part.strip()]
    read = {part[1]: int(part[2]) for part in found if part}
    return read if len(read) == len(found) else recipe
