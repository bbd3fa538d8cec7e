"""The OpenAPI 3.1 document, made from the very models that read orders."""

from functools import cache
from typing import Any, Literal

from flask import Response, jsonify
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from domain.customers import ID_PATTERN as CUSTOMER
from domain.inbox import WORDS
from domain.orders import ID_PATTERN
from domain.register import Register
from domain.registers import registers
from web.api import blueprint
from web.api.cloud_event import SIGNATURE, STRUCTURED
from web.api.orders import KEY, KEY_HEADER
from web.api.points import TransferRequest
from web.correlation import ACCEPTED, HEADER
from web.order_request import OrderRequest

Status = Literal["placed", "cooking", "ready", "out_for_delivery", "delivered", "cancelled"]


class OrderedItem(BaseModel):
    """One line of an order; money is text with two decimals."""

    pizza: str
    name: str
    size: str
    toppings: list[str]
    quantity: int
    unit_price: str
    line_total: str
    note: str | None


class PlacedOrder(BaseModel):
    """An order as its placing is answered; times are ISO 8601 in UTC."""

    id: str
    tracking_url: str
    status: Status
    code: str
    total: str
    subtotal: str
    tax: str
    currency: str
    fulfilment: Literal["delivery", "pickup"]
    payment: Literal["cash", "card", "account"]
    items: list[OrderedItem]
    estimated_ready_time: str
    estimated_delivery_time: str
    placed_at: str


class OrderCustomer(BaseModel):
    """What the holder of an order's id may know of its customer."""

    name: str


class WholeOrder(PlacedOrder):
    """An order as it stands."""

    customer: OrderCustomer
    note: str | None
    cancelled_reason: str | None
    cooking_at: str | None
    ready_at: str | None
    out_for_delivery_at: str | None
    delivered_at: str | None
    cancelled_at: str | None


class DoneTransfer(BaseModel):
    """A transfer that was done; the balance is what the sender had left."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: str
    sender: str = Field(serialization_alias="from")
    to: str
    points: int
    balance: int
    transferred_at: str


class TakenEvent(BaseModel):
    """An event that was taken, now or before."""

    id: str
    repeated: bool


class Problem(BaseModel):
    """What is wrong with a field; an empty field means the request as a whole."""

    field: str
    problem: str


class Problems(BaseModel):
    """The answer to every request that is refused."""

    errors: list[Problem]


class MenuSize(BaseModel):
    """A size."""

    id: str
    name: str


class MenuTopping(BaseModel):
    """A topping and its price for one pizza."""

    id: str
    name: str
    price: str


class MenuPizza(BaseModel):
    """A pizza and its price for each size."""

    id: str
    name: str
    category: str | None
    description: str
    vegetarian: bool
    sold_out: bool
    sold_out_sizes: list[str]
    prices: dict[str, str]


class MenuAnswer(BaseModel):
    """All that can be ordered."""

    currency: str
    sizes: list[MenuSize]
    toppings: list[MenuTopping]
    pizzas: list[MenuPizza]


_ANSWERS: tuple[type[BaseModel], ...] = (PlacedOrder, WholeOrder, DoneTransfer, TakenEvent, Problems, MenuAnswer)
_ORDER_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": f"^{ID_PATTERN}$"}}
_CUSTOMER_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": f"^{CUSTOMER}$"}}
_CORRELATION = {
    "name": HEADER,
    "in": "header",
    "schema": {"type": "string", "pattern": f"^{ACCEPTED.pattern}$"},
    "description": "Marks the order's events and log lines; made where it is missing, and always returned.",
}
_KEY = {
    "name": KEY_HEADER,
    "in": "header",
    "schema": {"type": "string", "pattern": f"^{KEY.pattern}$"},
    "description": "The same key with the same body gives the same answer; with another body, 422.",
}
_VERSION = {
    "name": "version",
    "in": "query",
    "schema": {"type": "string"},
    "description": "As it was read; if the entry was changed since, the answer is 409. Without it nobody asks.",
}
_REFUSALS = {
    "400": "The body is no JSON",
    "401": "Name or password of our staff is wrong",
    "403": "This source may not tell this",
    "404": "There is no such order",
    "409": "The order is already being made",
    "413": "The body is over 64 kB",
    "415": "The body is not application/json",
    "422": "The order has problems, one per field",
    "429": "Too many requests from one address",
    "503": "Try again, with the same Idempotency-Key",
}


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """Show the document."""
    return jsonify(document())


@cache
def document() -> dict[str, Any]:
    """Give the document."""
    template = "#/components/schemas/{model}"
    kept = registers().values()
    requests: list[type[BaseModel]] = [OrderRequest, TransferRequest, *(word for _, word in WORDS.values())]
    requests += [model for register in kept for model in (register.entry, register.change_of)]
    answers: list[type[BaseModel]] = [*_ANSWERS, *(register.kept for register in kept)]
    asked = models_json_schema([(model, "validation") for model in requests], ref_template=template)[1]["$defs"]
    sent = models_json_schema([(model, "serialization") for model in answers], ref_template=template)[1]["$defs"]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Mario's Pizzeria", "version": "1.0.0", "description": "Order pizza and follow it."},
        "paths": _paths(),
        "components": {
            "schemas": {**asked, **sent},
            "securitySchemes": {"staff": {"type": "http", "scheme": "basic"}},
        },
    }


def _paths() -> dict[str, Any]:
    stream = {"description": "Server-sent events named status", "content": {"text/event-stream": {}}}
    return {
        "/api/menu": {"get": _operation("showMenu", "All that can be ordered", "200", "MenuAnswer", "503")},
        "/api/orders": {"post": _placing()},
        "/api/orders/{id}": {
            "parameters": [_ORDER_ID],
            "get": _operation("showOrder", "An order as it stands", "200", "WholeOrder", "404", "503"),
        },
        "/api/orders/{id}/cancel": {
            "parameters": [_ORDER_ID],
            "post": _operation(
                "cancelOrder", "Cancel one that is not cooking yet", "200", "WholeOrder", "404", "409", "429", "503"
            ),
        },
        "/api/customers/{id}/points/transfer": {"parameters": [_CUSTOMER_ID], "post": _transferring()},
        "/api/events": {"post": _telling()},
        "/api/orders/{id}/stream": {
            "parameters": [_ORDER_ID],
            "get": {
                "operationId": "followOrder",
                "summary": "Follow an order; honours Last-Event-ID",
                "responses": {"200": stream, "204": {"description": "Nothing more will happen"}, **_refusals("404")},
            },
        },
        **{path: item for each in registers().values() for path, item in _registered(each).items()},
    }


def _registered(register: Register) -> dict[str, Any]:
    """Describe a register's list and its entries."""
    one, name, kept = register.entry.__name__, register.name.title(), register.kept.__name__
    read, changed = ("401", "429", "503"), ("400", "401", "403", "409", "413", "415", "422", "429", "503")
    every = _operation(f"list{name}", register.about, "200", kept, *read)
    listed = {"type": "object", "properties": {register.name: {"type": "array", "items": _ref(kept)}}}
    every["responses"]["200"]["content"] = {"application/json": {"schema": listed}}
    add = _operation(f"add{one}", f"Write down a new {register.one}", "201", kept, *changed)
    show = _operation(f"show{one}", f"One {register.one}", "200", kept, "404", *read)
    change = _operation(f"change{one}", f"Write a {register.one} down anew", "200", kept, "404", *changed)
    remove = _operation(f"remove{one}", register.removal, "200", kept, "401", "403", "404", "409", "429", "503")
    add["requestBody"] = {"required": True, "content": _json(one)}
    remove["parameters"].append(_VERSION)
    change["requestBody"] = {"required": True, "content": _json(register.change_of.__name__)}
    for operation in (every, add, show, change, remove):
        operation["security"] = [{"staff": []}]
        for status, words in (
            ("403", "Only a manager may do this"),
            ("404", f"There is no such {register.one}"),
            ("409", "Its name is taken, it is in use, or it was changed since it was read"),
            ("422", "The entry has problems, one per field"),
        ):
            if status in operation["responses"]:
                operation["responses"][status]["description"] = words
    id_schema = {"type": "integer"} if register.id_type is int else {"type": "string"}
    return {
        f"/api/{register.name}": {"get": every, "post": add},
        f"/api/{register.name}/{{id}}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": id_schema}],
            "get": show,
            "put": change,
            "delete": remove,
        },
    }


def _placing() -> dict[str, Any]:
    operation = _operation(
        "placeOrder", "Place an order", "201", "PlacedOrder", "400", "413", "415", "422", "429", "503"
    )
    operation["parameters"].append(_KEY)
    operation["requestBody"] = {"required": True, "content": _json("OrderRequest")}
    return operation


def _transferring() -> dict[str, Any]:
    operation = _operation(
        *("transferPoints", "Transfer loyalty points to another customer", "201", "DoneTransfer"),
        *("400", "401", "404", "409", "413", "415", "422", "429", "503"),
    )
    operation["parameters"].append(_KEY)
    operation["requestBody"] = {"required": True, "content": _json("TransferRequest")}
    operation["security"] = [{"staff": []}]
    operation["responses"]["404"]["description"] = "There is no such customer"
    operation["responses"]["409"]["description"] = "The customer has fewer points"
    operation["responses"]["422"]["description"] = "The transfer has problems, one per field"
    return operation


def _telling() -> dict[str, Any]:
    operation = _operation(
        *("tellEvent", "Tell us of an event: a CloudEvent 1.0, signed after Standard Webhooks", "202", "TakenEvent"),
        *("400", "401", "403", "404", "409", "413", "415", "422", "429", "503"),
    )
    operation["parameters"] += [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}} for name in SIGNATURE
    ]
    event = {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "pattern": f"^{KEY.pattern}$"},
            "source": {"type": "string", "description": "The name under which the pizzeria knows who tells this."},
            "type": {"enum": list(WORDS)},
            "data": {"anyOf": [{"$ref": f"#/components/schemas/{word.__name__}"} for _, word in WORDS.values()]},
        },
    }
    operation["requestBody"] = {"required": True, "content": {STRUCTURED: {"schema": event}}}
    operation["responses"]["401"]["description"] = "It is not signed, now and with the secret of its source"
    operation["responses"]["409"]["description"] = "It cannot be true now, or its id was another event's"
    operation["responses"]["415"]["description"] = "It is neither a structured event nor JSON with ce- headers"
    operation["responses"]["422"]["description"] = "The event has problems, one per field"
    return operation


def _operation(name: str, summary: str, status: str, model: str, *refusals: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "parameters": [_CORRELATION],
        "responses": {status: {"description": summary, "content": _json(model)}, **_refusals(*refusals)},
    }


def _refusals(*statuses: str) -> dict[str, Any]:
    return {status: {"description": _REFUSALS[status], "content": _json("Problems")} for status in statuses}


def _json(model: str) -> dict[str, Any]:
    return {"application/json": {"schema": _ref(model)}}


def _ref(model: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model}"}
