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


# Both in one statement: each one costs more than what it does.
_FIND_OR_ADD = text("""
WITH known AS (SELECT id FROM customers WHERE phone = :phone), added AS (
    INSERT INTO customers (id, phone, name, email, created_at)
    SELECT :id, :phone, :name, :email, :now WHERE NOT EXISTS (SELECT FROM known)
    ON CONFLICT (phone) DO NOTHING RETURNING id
)
SELECT id, true AS returning FROM known UNION ALL SELECT id, false FROM added
""")


def find_or_add(connection: Connection, contact: Contact) -> tuple[str, bool]:
    """Give the id of the customer with this number, and whether they were known. Never changes a known one's name."""
    values = {
        "id": uuid7().hex,
        "phone": contact.phone,
        "name": contact.name,
        "email": contact.email,
        "now": clock.now(),
    }
    found = connection.execute(_FIND_OR_ADD, values).one_or_none()
    if found is None:  # somebody added them just now; a second look sees them
        found = connection.execute(_FIND_OR_ADD, values).one()
    return str(found.id), bool(found.returning)
