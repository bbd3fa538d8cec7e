"""The order form. What it says is judged by the same model as the JSON API's orders."""

import re
import uuid
from collections.abc import Mapping
from typing import Any

from babel import Locale
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import (
    FieldList,
    Form,
    FormField,
    HiddenField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)

from domain.basket import MAX_LINES, MAX_QUANTITY
from domain.menu import Menu
from domain.settings import LANGUAGES

_LINE = re.compile(r"items-[0-9]{1,3}-[a-z]+")
_KEY = re.compile(r"form-[0-9a-f]{32}")
_FIELDS = {
    "customer.name": "name",
    "customer.phone": "phone",
    "customer.email": "email",
    "fulfilment": "fulfilment",
    "address": "address",
    "payment": "payment",
    "card_token": "card_token",
    "note": "note",
    "language": "language",
}
_LANGUAGES = {code: (Locale(code).get_display_name() or code).capitalize() for code in LANGUAGES}
_FIRST_CHOICE = {"fulfilment": "fulfilment-delivery", "payment": "payment-cash"}


def posted(form: MultiDict[str, str]) -> MultiDict[str, str]:
    """Give what was posted, without line numbers that no page of ours makes; WTForms fails on some."""
    return MultiDict(
        [
            (name, value)
            for name, value in form.items(multi=True)
            if not name.startswith("items") or _LINE.fullmatch(name)
        ]
    )


class LineForm(Form):
    """One line of the basket."""

    pizza = HiddenField()
    size = SelectField("Size", validate_choice=False)
    quantity = StringField("Quantity", default="1", render_kw={"max": MAX_QUANTITY})
    toppings = SelectMultipleField("Extra toppings", validate_choice=False)
    note = StringField("Note for this pizza")


class OrderForm(FlaskForm):  # type: ignore[misc] # Flask-WTF has no types
    """A whole order. ``key`` makes a form sent twice one order."""

    key = HiddenField()
    items = FieldList(FormField(LineForm))
    fulfilment = StringField("How do you want it?", default="delivery")
    name = StringField("Your name")
    phone = StringField("Telephone")
    email = StringField("E-mail (optional)")
    address = StringField("Address")
    payment = StringField("How do you pay?", default="cash")
    card_token = StringField("Card")
    note = TextAreaField("Note for us (optional)")
    language = SelectField("We write to you in", choices=_LANGUAGES, validate_choice=False)

    def keep_or_make_key(self) -> str:
        """Give the key of this form, a new one where there is none that we made."""
        if not _KEY.fullmatch(self.key.data or ""):
            self.renew_key()
        return str(self.key.data)

    def renew_key(self) -> None:
        """Make the form one that was not sent yet."""
        self.key.data = f"form-{uuid.uuid4().hex}"

    def add(self, choice: str, menu: Menu) -> None:
        """Add a pizza to the basket; ``choice`` is ``pizza:size``. What is not on the menu adds nothing."""
        pizza, _, size = choice.partition(":")
        known = menu.pizzas.get(pizza)
        if not known or known.sold_out or size in known.sold_out_sizes:
            return
        if size in known.prices and len(self.items.entries) < MAX_LINES:
            self.items.append_entry({"pizza": pizza, "size": size, "quantity": "1", "toppings": [], "note": ""})

    def remove(self, index: str) -> None:
        """Take a line out of the basket."""
        kept = [line.data for line in self.items.entries if line.name != f"items-{index}"]
        while self.items.entries:
            self.items.pop_entry()
        self.items.last_index = -1
        for line in kept:
            self.items.append_entry(line)

    def payload(self) -> dict[str, Any]:
        """Give the order in the JSON API's form."""
        return {
            "customer": {"name": _typed(self.name), "phone": _typed(self.phone), "email": _typed(self.email)},
            "fulfilment": self.fulfilment.data,
            "address": _typed(self.address),
            "payment": self.payment.data,
            "card_token": _typed(self.card_token),
            "items": [_line(entry.form) for entry in self.items.entries],
            "note": _typed(self.note),
            "language": self.language.data,
        }

    def show(self, problems: Mapping[str, str]) -> None:
        """Put each problem beside its field; what has no field of its own beside the basket."""
        for path, problem in problems.items():
            field = self._field(path)
            field.errors = [*field.errors, problem]

    def summary(self, menu: Menu) -> list[tuple[str, str]]:
        """List every problem with the id of the control it belongs to; those of the whole order first."""
        found = [("basket", problem) for problem in self.key.errors]
        for entry in self.items.entries:
            pizza = menu.pizzas.get(entry.form.pizza.data or "")
            for name in ("size", "quantity", "toppings", "note"):
                control = f"{entry.name}-{'size' if name == 'toppings' else name}"
                text = " ".join(entry.form[name].errors)
                found += [(control, f"{pizza.name if pizza else 'A pizza'}: {text}")] if text else []
        for name in _FIELDS.values():
            text = " ".join(self[name].errors)
            found += [(_FIRST_CHOICE.get(name, name), text)] if text else []
        return found

    def _field(self, path: str) -> Any:
        parts = path.split(".")
        if parts[0] == "items" and len(parts) > 2 and int(parts[1]) < len(self.items.entries):
            # The pizza has no control of its own: what is wrong with it stands at its size.
            return self.items.entries[int(parts[1])].form[{"pizza": "size"}.get(parts[2], parts[2])]
        return self[_FIELDS[path]] if path in _FIELDS else self.key


def _typed(field: Any) -> str:
    return " ".join((field.data or "").split())


def _line(form: Any) -> dict[str, Any]:
    quantity = (form.quantity.data or "").strip()
    return {
        "pizza": form.pizza.data or "",
        "size": form.size.data or "",
        "quantity": int(quantity) if re.fullmatch("[0-9]{1,4}", quantity) else quantity,
        "toppings": form.toppings.data or [],
        "note": _typed(form.note),
    }
