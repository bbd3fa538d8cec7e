"""Suppliers: whom the store buys from."""

from typing import Annotated

from pydantic import Field

from domain.entry import Ask, Entry, Name, Retired
from domain.fields import PHONE_PROBLEM, Email, Phone
from domain.register import Register


class Supplier(Entry):
    """Whom the store buys from."""

    name: Name
    email: Annotated[Email, Ask("E-mail", "Give the e-mail address that purchases go to.", "email")]
    phone: Annotated[Phone, Ask("Telephone", PHONE_PROBLEM, "tel")]
    lead_days: Annotated[
        int, Field(ge=0, le=365), Ask("Days until it comes", "Give a whole number of days, from 0 to 365.", "number")
    ]
    retired: Retired = False


class Suppliers(Register):
    """The register of suppliers."""

    name = "suppliers"
    one = "supplier"
    about = "Whom the store buys from."
    table = "suppliers"
    entry = Supplier
    in_use = "SELECT name FROM ingredients WHERE supplier_id = :id AND NOT retired ORDER BY name"


register = Suppliers()
