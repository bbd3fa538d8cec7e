"""The menu and its order form."""

import structlog
from flask import Response, make_response, redirect, render_template, request, url_for

from domain.basket import InvalidOrderError, Line, price, sums
from domain.events import OrderItem
from domain.menu import Menu
from domain.payments import SANDBOX_CARDS
from domain.placing import KeyReusedError
from domain.settings import LANGUAGES
from web.api import answers
from web.correlation import correlation_id
from web.counter import counter
from web.limits import PLACING, is_own_machine, limit
from web.order_request import read_order
from web.shop import blueprint
from web.shop.forms import OrderForm, posted

_logger = structlog.get_logger(__name__)

STALE = "This page was open for a long time. Please press the button once more."
SENT_BEFORE = "An order was already placed with this page. To place this one too, press the button once more."


def _needs_no_limit() -> bool:
    return is_own_machine() or bool({"add", "remove"} & set(request.form))


@blueprint.get("/")
def menu() -> Response:
    """Show the menu and an empty order form."""
    here = counter()
    language = request.accept_languages.best_match(LANGUAGES, here.settings.language)
    return _page(OrderForm(formdata=None, data={"language": language}), here.menu())


@blueprint.get("/orders")
def no_order() -> Response:
    """Lead whoever reloads the form's address back to the menu."""
    return make_response(redirect(url_for("shop.menu"), 303))


@blueprint.post("/orders")
@limit(PLACING, unless=_needs_no_limit)
def order() -> Response:
    """Take an order; or, for browsers without scripts, add a pizza to the basket or take one out."""
    form = OrderForm(formdata=posted(request.form))
    here = counter()
    if "add" in request.form:
        form.add(request.form["add"], here.menu())
        return _page(form, here.menu())
    if "remove" in request.form:
        form.remove(request.form["remove"])
        return _page(form, here.menu())
    key = form.keep_or_make_key()
    if not form.validate():
        form.show({"": STALE})
        return _page(form, here.menu(), 400)
    try:
        new = read_order(form.payload(), here.settings.region, here.menu)
        placed, is_new = here.place(new, correlation_id(), key)
    except InvalidOrderError as error:
        form.show(error.problems)
        return _page(form, here.menu(), 422)
    except KeyReusedError:
        form.renew_key()
        form.show({"": SENT_BEFORE})
        return _page(form, here.menu(), 409)
    if is_new:
        _logger.info("order_placed", order_id=placed.id)
    return make_response(redirect(url_for("shop.track", order_id=placed.id), 303))


def _page(form: OrderForm, menu: Menu, status: int = 200) -> Response:
    form.keep_or_make_key()
    items = [_priced(entry.form, menu) for entry in form.items.entries]
    page = render_template(
        "shop/menu.html",
        form=form,
        menu=menu,
        blank=OrderForm(formdata=None, data={"items": [{}]}).items.entries[0].form,
        totals=[item.unit_price * item.quantity if item else None for item in items],
        sums=sums([item for item in items if item], counter().settings),
        summary=form.summary(menu),
        cards={} if counter().settings.payment == "stripe" else SANDBOX_CARDS,  # Stripe's own form is not on our pages
        for_script=answers.menu(menu, counter().settings.currency) | {"tax": str(counter().settings.tax_rate)},
    )
    answer = make_response(page, status)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _priced(form: object, menu: Menu) -> OrderItem | None:
    """Price one line as it stands, or give None where it cannot be."""
    values = getattr(form, "data")  # noqa: B009 - WTForms' fields have no static names
    quantity = str(values["quantity"] or "")
    if not (quantity.isascii() and quantity.isdigit() and len(quantity) < 4):
        return None
    line = Line(
        pizza=values["pizza"],
        size=values["size"],
        quantity=int(quantity),
        toppings=tuple(dict.fromkeys(values["toppings"] or ())),
    )
    try:
        (item,) = price([line], menu)
    except InvalidOrderError:
        return None
    return item
