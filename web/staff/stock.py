"""The store: what is there and on its way, counted, thrown away and received by hand."""

import re
from collections.abc import Callable

import structlog
from flask import Response, flash, make_response, redirect, render_template, request, url_for
from flask_login import current_user

from domain import inventory, procurement
from domain.inventory import MAX_QUANTITY, Ingredient, QuantityError, StockError, UnknownIngredientError
from domain.kernel.unit_of_work import UnitOfWork
from web.confirmation import NOT_SENT, Confirmation
from web.correlation import correlation_id
from web.counter import counter
from web.staff import blueprint

_logger = structlog.get_logger(__name__)


@blueprint.get("/stock")
def stock() -> Response:
    """Show it."""
    with counter().database.read() as connection:
        shelves = inventory.shelves(connection)
    coming = sorted((s for s in shelves if s.purchase_id is not None), key=lambda s: s.purchase_id or 0)
    return make_response(
        render_template("staff/stock.html", shelves=shelves, coming=coming, confirmation=Confirmation())
    )


@blueprint.post("/stock/receive")
def receive_purchase() -> Response:
    """Take a purchase in."""
    who = current_user.who

    def receive(work: UnitOfWork) -> str:
        number = _number("purchase", "Choose a purchase that is on its way.")
        came = procurement.receive(work, number, who)
        return f"{came.quantity} {came.ingredient.unit} of {came.ingredient.name.lower()} came. {_now(came.ingredient)}"

    return _change(receive)


@blueprint.post("/stock/count")
def count_ingredient() -> Response:
    """Write down what somebody counted."""
    return _change(lambda work: _now(inventory.count(work, _ingredient(), _number("quantity", inventory.COUNT))))


@blueprint.post("/stock/waste")
def waste_ingredient() -> Response:
    """Write down what was thrown away."""
    return _change(lambda work: _now(inventory.waste(work, _ingredient(), _number("quantity", inventory.WASTE))))


def _change(step: Callable[[UnitOfWork], str]) -> Response:
    if not Confirmation().validate():
        flash(NOT_SENT)
    else:
        try:
            flash(counter().change(correlation_id(), step))
            _logger.info("stock_changed", how=request.endpoint)
        except StockError as error:
            flash(str(error))
    return make_response(redirect(url_for("staff.stock"), 303))


def _ingredient() -> str:
    chosen = request.form.get("ingredient", "").replace("\0", "")[:100]
    if not chosen:
        raise UnknownIngredientError("Choose an ingredient.")
    return chosen


def _number(field: str, wanted: str) -> int:
    typed = request.form.get(field, "").strip()
    if not re.fullmatch("[0-9]{1,13}", typed) or int(typed) > MAX_QUANTITY:
        raise QuantityError(wanted)
    return int(typed)


def _now(ingredient: Ingredient) -> str:
    return f"There are {ingredient.quantity} {ingredient.unit} of {ingredient.name.lower()} now."
