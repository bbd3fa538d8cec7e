"""An entry of a register: its fields, what each asks for, and what is said where one is wrong."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from domain.fields import MAX_NAME, Text, visible

Control = Literal["text", "long", "tel", "email", "number", "money", "yes", "choice", "offers"]
"""How a form asks for a field."""

LAST_PLACE = 1_000_000
"""No list is longer."""

_MONEY = re.compile(r"[0-9]{1,7}(\.[0-9]{1,2})?")


@dataclass(frozen=True, slots=True)
class Ask:
    """What a field asks for: its label, the one sentence for whatever is wrong with it, and how a form asks.

    ``column`` is where it is kept, if that is called otherwise; ``of`` is the register that its value is an id of;
    ``each`` is the model of a mapping's values.
    """

    label: str
    wanted: str
    control: Control = "text"
    column: str = ""
    of: str = ""
    each: type[BaseModel] | None = None
    hint: str = ""


class Entry(BaseModel):
    """What people write down of one thing: strict, nothing coerced."""

    model_config = ConfigDict(strict=True, extra="forbid")


def asks(entry: type[BaseModel]) -> Mapping[str, Ask]:
    """Give what each field of an entry asks for."""
    found = {name: _ask(field) for name, field in entry.model_fields.items()}
    return {name: ask for name, ask in found.items() if ask}


def explain(entry: type[BaseModel], error: ValidationError) -> dict[str, str]:
    """Say what is wrong with each field."""
    problems: dict[str, str] = {}
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        path = each["loc"]
        if each["type"] == "extra_forbidden":
            sentence = "There is no such field: leave it out."
        else:
            sentence = each["msg"] if each["type"] in {"unprintable", "invisible"} else _wanted(entry, path)
        problems.setdefault(".".join(str(part)[:60] for part in path), sentence)
    return problems


def _wanted(entry: type[BaseModel] | None, path: tuple[int | str, ...]) -> str:
    sentence = "Send a JSON object with its fields."
    for part in path:
        field = entry.model_fields.get(str(part)) if entry else None
        if field and (ask := _ask(field)):
            sentence, entry = ask.wanted, ask.each
    return sentence


def _ask(field: FieldInfo) -> Ask | None:
    return next((part for part in field.metadata if isinstance(part, Ask)), None)


def _amount(value: object) -> object:
    """Read an amount of money, which is text in JSON: a number could not hold it exactly."""
    if not isinstance(value, str) or not _MONEY.fullmatch(value):
        raise PydanticCustomError("money", "Give an amount of money as text, such as 12.50.")
    return Decimal(value)


Name = Annotated[
    Text,
    Field(min_length=1, max_length=MAX_NAME),
    AfterValidator(visible),
    Ask("Name", f"Give a name of at most {MAX_NAME} characters."),
]
Position = Annotated[
    int | None,
    Field(ge=1, le=LAST_PLACE),
    Ask(
        "Place in the list",
        f"Give a whole number from 1 to {LAST_PLACE}, or nothing for the last place.",
        "number",
        column="rank",
        hint="1 comes first; empty is the last.",
    ),
]
Retired = Annotated[
    bool, Ask("Retired", "Say true or false.", "yes", hint="It is no longer used; what was sold or bought keeps it.")
]
Money = Annotated[
    Decimal,
    BeforeValidator(_amount),
    WithJsonSchema({"type": "string", "pattern": f"^{_MONEY.pattern}$", "description": "Text with up to two decimals"}),
]


def jsonable(value: Any) -> Any:
    """Write a value as the API does: money is text with two decimals."""
    return f"{value:.2f}" if isinstance(value, Decimal) else value
