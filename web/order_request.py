"""What a customer may send as an order, by JSON or form alike: strict, with every problem in plain words."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from domain.basket import MAX_LINES, MAX_PIZZAS, MAX_QUANTITY, InvalidOrderError, Line, NewOrder, price
from domain.customers import Contact
from domain.fields import EMAIL_PROBLEM, MAX_NAME, PHONE_PROBLEM, Email, Id, Phone, Text, blank_is_none, visible
from domain.menu import Menu
from domain.settings import LANGUAGES, Language

MAX_TOPPINGS = 10
MIN_ADDRESS, MAX_ADDRESS = 5, 200
MAX_NOTE = 140
MAX_TOKEN = 200
MAX_PROBLEMS = 100
"""An answer names so many problems at the most; nobody reads more."""

# What is asked for, by field without line numbers: the one sentence for whatever is wrong with it.
_WANTED: Mapping[str, str] = {
    "": "Send the order as a JSON object.",
    "customer": "Tell us who orders: an object with name and phone.",
    "customer.name": f"Please tell us your name, in at most {MAX_NAME} characters.",
    "customer.phone": PHONE_PROBLEM,
    "customer.email": EMAIL_PROBLEM,
    "fulfilment": "Choose delivery or pickup.",
    "address": f"Please tell us where to deliver, in {MIN_ADDRESS} to {MAX_ADDRESS} characters.",
    "payment": "Choose how to pay: cash, card or account.",
    "card_token": f"Paying by card takes a card token: text of at most {MAX_TOKEN} characters.",
    "language": f"Choose one of our languages ({', '.join(LANGUAGES)}), or leave it out.",
    "items": f"Order 1 to {MAX_LINES} items.",
    "items.#": "An item is an object with pizza, size and quantity.",
    "items.#.pizza": "Choose a pizza from the menu.",
    "items.#.size": "Choose a size from the menu.",
    "items.#.toppings": f"Choose at most {MAX_TOPPINGS} toppings, each once.",
    "items.#.toppings.#": "Choose toppings from the menu.",
    "items.#.quantity": f"The quantity must be a whole number from 1 to {MAX_QUANTITY}.",
    "items.#.note": f"A note has at most {MAX_NOTE} characters.",
    "note": f"A note has at most {MAX_NOTE} characters.",
}


Note = Annotated[Annotated[str, Field(max_length=MAX_NOTE)] | None, BeforeValidator(blank_is_none)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class CustomerRequest(_Strict):
    """Who orders."""

    name: Annotated[Text, Field(min_length=1, max_length=MAX_NAME), AfterValidator(visible)]
    phone: Phone
    email: Annotated[Email | None, BeforeValidator(blank_is_none)] = None


class ItemRequest(_Strict):
    """So many pizzas of a kind."""

    pizza: Id
    size: Id
    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY)]
    toppings: Annotated[list[Id], Field(max_length=MAX_TOPPINGS)] = []
    note: Note = None

    @field_validator("toppings")
    @classmethod
    def _each_once(cls, toppings: list[str]) -> list[str]:
        if len(set(toppings)) < len(toppings):
            raise PydanticCustomError("toppings", _WANTED["items.#.toppings"])
        return toppings

    def line(self) -> Line:
        """Give what the domain prices."""
        return Line(
            pizza=self.pizza, size=self.size, quantity=self.quantity, toppings=tuple(self.toppings), note=self.note
        )


class OrderRequest(_Strict):
    """An order as a customer sends it."""

    customer: CustomerRequest
    fulfilment: Literal["delivery", "pickup"]
    address: Annotated[
        Annotated[str, Field(max_length=MAX_ADDRESS)] | None,
        BeforeValidator(blank_is_none),
        Field(description="Required for a delivery, ignored for a pickup."),
    ] = None
    payment: Literal["cash", "card", "account"]
    card_token: Annotated[
        Annotated[str, Field(max_length=MAX_TOKEN, pattern=r"^[A-Za-z0-9_]+$")] | None,
        BeforeValidator(blank_is_none),
        Field(description="The payment service's name for the card; required for card, ignored otherwise."),
    ] = None
    language: Annotated[
        Language | None, Field(description="In which we write to the customer; the shop's own if it is left out.")
    ] = None
    items: Annotated[list[ItemRequest], Field(min_length=1, max_length=MAX_LINES)]
    note: Note = None


def read_order(payload: object, region: str, menu: Callable[[], Menu]) -> NewOrder:
    """Make an order of what was sent. Raises InvalidOrderError with every problem, those with the menu included.

    ``menu`` is asked only where something is wrong: a well-formed order is priced when it is placed.
    """
    problems: dict[str, str] = {}
    try:
        request = OrderRequest.model_validate(payload, context={"region": region})
    except ValidationError as error:
        problems = _problems(error.errors(include_url=False, include_context=False, include_input=False))
    if isinstance(payload, Mapping):
        problems |= {field: text for field, text in _across(payload).items() if field not in problems}
    if problems:
        raise InvalidOrderError(dict(list(({**_not_on_menu(payload, menu), **problems}).items())[:MAX_PROBLEMS]))
    return _new_order(request)


def _new_order(request: OrderRequest) -> NewOrder:
    customer = request.customer
    return NewOrder(
        contact=Contact(customer.name, customer.phone, customer.email),
        fulfilment=request.fulfilment,
        payment=request.payment,
        lines=tuple(item.line() for item in request.items),
        address=request.address if request.fulfilment == "delivery" else None,
        note=request.note,
        card_token=request.card_token if request.payment == "card" else None,
        language=request.language,
    )


def _problems(errors: Iterable[ErrorDetails]) -> dict[str, str]:
    problems: dict[str, str] = {}
    for error in errors:
        field = ".".join(str(part)[:60] for part in error["loc"])
        problems.setdefault(field, _sentence(error))
    return problems


def _sentence(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return "There is no such field in an order: leave it out."
    if error["type"] == "unprintable":
        return error["msg"]
    path = ".".join("#" if isinstance(part, int) else part for part in error["loc"])
    return _WANTED.get(path, "This is not what an order needs here.")


def _across(payload: Mapping[Any, Any]) -> dict[str, str]:
    """Find what is wrong between fields, which can be told even where some field is wrong by itself."""
    problems: dict[str, str] = {}
    address = payload.get("address")
    if payload.get("fulfilment") == "delivery" and (
        address is None or (isinstance(address, str) and len(address.strip(" ")) < MIN_ADDRESS)
    ):
        problems["address"] = _WANTED["address"]
    token = payload.get("card_token")
    if payload.get("payment") == "card" and (token is None or (isinstance(token, str) and not token.strip(" "))):
        problems["card_token"] = _WANTED["card_token"]
    items = payload.get("items")
    counts = [item.get("quantity") for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
    if sum(count for count in counts if type(count) is int and count > 0) > MAX_PIZZAS:
        problems["items"] = f"Order at most {MAX_PIZZAS} pizzas at once; call us for more."
    return problems


def _not_on_menu(payload: object, menu: Callable[[], Menu]) -> dict[str, str]:
    """Find what the menu has not among the well-formed items."""
    items = payload.get("items") if isinstance(payload, Mapping) else None
    lines: dict[int, Line] = {}
    for index, item in enumerate(items[:MAX_LINES] if isinstance(items, list) else []):
        try:
            lines[index] = ItemRequest.model_validate(item).line()
        except ValidationError:
            continue
    if not lines:
        return {}
    try:
        price(list(lines.values()), menu())
    except InvalidOrderError as error:
        places = list(lines)
        return {_renumber(field, places): problem for field, problem in error.problems.items()}
    return {}


def _renumber(field: str, places: list[int]) -> str:
    items, *within = field.split(".", 2)
    return ".".join([items, str(places[int(within[0])]), *within[1:]]) if within else items
