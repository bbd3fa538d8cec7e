"""Customers: who they are, their points, and what they may owe."""

import re
import uuid
from collections.abc import Callable

import structlog
from flask import Response, flash, make_response, redirect, render_template, request, url_for
from flask_login import current_user

from domain import accounts, customers, loyalty
from domain.accounts import AccountError
from domain.customers import NoOneCustomerError
from domain.kernel.unit_of_work import UnitOfWork
from domain.loyalty import Transfer, TransferError
from web.confirmation import NOT_SENT, Confirmation
from web.correlation import correlation_id
from web.counter import counter
from web.staff import blueprint

MAX_TYPED = 40
_POINTS = re.compile("[0-9]{1,10}")
_FORM_KEY = re.compile("points-[0-9a-f]{32}")
_logger = structlog.get_logger(__name__)


@blueprint.get("/customers")
def customer_list() -> Response:
    """Show the newest customers."""
    with counter().database.read() as connection:
        found = customers.newest(connection)
    return _list(found, "")


@blueprint.post("/customers")
def search_customers() -> Response:
    """Show those with a telephone number; it is posted, since what stands in an address ends up in logs."""
    typed = request.form.get("phone", "")[:MAX_TYPED]
    if not Confirmation().validate():
        flash(NOT_SENT)
        return make_response(redirect(url_for("staff.customer_list"), 303))
    with counter().database.read() as connection:
        found = customers.search(connection, typed)
    return _list(found, typed)


@blueprint.get("/customers/<customer_id:customer_id>")
def customer(customer_id: str) -> Response:
    """Show one."""
    try:
        with counter().database.read() as connection:
            found = customers.get(connection, customer_id)
            points = loyalty.entries(connection, customer_id)
            owed = accounts.entries(connection, customer_id)
    except NoOneCustomerError as error:
        flash(str(error))
        return make_response(redirect(url_for("staff.customer_list"), 303))
    page = render_template(
        "staff/customer.html",
        customer=found,
        points=points,
        owed=owed,
        key=f"points-{uuid.uuid4().hex}",
        confirmation=Confirmation(),
    )
    return make_response(page)


@blueprint.post("/customers/<customer_id:customer_id>/points/transfer")
def transfer_points(customer_id: str) -> Response:
    """Give points to another customer; a form that is sent twice gives them once."""
    typed, key = request.form.get("points", "").strip(), request.form.get("key", "")

    def step(work: UnitOfWork) -> str:
        to = customers.find(work.connection, request.form.get("to", "")[:MAX_TYPED].strip())
        number = int(typed) if _POINTS.fullmatch(typed) else 0
        asked = Transfer(customer_id, to.id, number, current_user.who, key if _FORM_KEY.fullmatch(key) else None)
        done, _ = loyalty.transfer(work, asked)
        return f"{done.points} {'point' if done.points == 1 else 'points'} went to {to.name}; {done.balance} are left."

    return _change(customer_id, "points_transferred", step)


@blueprint.post("/customers/<customer_id:customer_id>/account")
def set_limit(customer_id: str) -> Response:
    """Open a house account, or change its limit."""

    def step(work: UnitOfWork) -> str:
        accounts.set_limit(work, customer_id, accounts.amount(request.form.get("limit", "")), current_user.who)
        return "The limit is changed."

    return _change(customer_id, "account_limit_changed", step)


@blueprint.post("/customers/<customer_id:customer_id>/payment")
def note_payment(customer_id: str) -> Response:
    """Note what a customer has paid."""

    def step(work: UnitOfWork) -> str:
        accounts.pay(work, customer_id, accounts.amount(request.form.get("amount", "")), current_user.who)
        return "The payment is noted."

    return _change(customer_id, "account_paid", step)


def _change(customer_id: str, logged: str, step: Callable[[UnitOfWork], str]) -> Response:
    if not Confirmation().validate():
        flash(NOT_SENT)
    else:
        try:
            flash(counter().change(correlation_id(), step))
            _logger.info(logged, customer_id=customer_id)
        except (AccountError, TransferError, NoOneCustomerError) as error:
            flash(str(error))
    return make_response(redirect(url_for("staff.customer", customer_id=customer_id), 303))


def _list(found: list[customers.Record], typed: str) -> Response:
    return make_response(
        render_template("staff/customers.html", customers=found, typed=typed, confirmation=Confirmation())
    )
