"""Customers, known by their telephone number."""

from dataclasses import dataclass

from sqlalchemy import Connection, text
from uuid_utils.compat import uuid7

from domain.kernel import clock


@dataclass(frozen=True, slots=True)
class Contact:
    """How to reach somebody; ``phone`` is in E.164 form."""

    name: str
    phone: str
    email: str | None = None


_FIND = text("SELECT id FROM customers WHERE phone = :phone")
_ADD = text("""
INSERT INTO customers (id, phone, name, email, created_at) VALUES (:id, :phone, :name, :email, :now)
ON CONFLICT (phone) DO NOTHING RETURNING id
""")


def find_or_add(connection: Connection, contact: Contact) -> tuple[str, bool]:
    """Give the id of the customer with this number, and whether they were known. Never changes a known one's name."""
    known = connection.execute(_FIND, {"phone": contact.phone}).scalar()
    if known:
        return str(known), True
    added = connection.execute(
        _ADD,
        {"id": uuid7().hex, "phone": contact.phone, "name": contact.name, "email": contact.email, "now": clock.now()},
    ).scalar()
    if added:
        return str(added), False
    return str(connection.execute(_FIND, {"phone": contact.phone}).scalar_one()), True
