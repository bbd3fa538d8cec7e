"""Customers, known by their telephone number."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, text
from uuid_utils.compat import uuid7

from domain.kernel import clock


@dataclass(frozen=True, slots=True)
class Contact:
    """How to reach somebody; ``phone`` is in E.164 form."""

    name: str
    phone: str
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer's id, and whether they were known before."""

    id: str
    returning: bool


# Both in one statement: each one costs more than what it does. Sorted: two who add the same people must not deadlock.
_FIND_OR_ADD = text("""
WITH wanted AS (
    SELECT * FROM json_to_recordset(CAST(:people AS json)) AS w (id text, phone text, name text, email text)
), known AS (SELECT c.id, c.phone FROM customers c WHERE c.phone = ANY(CAST(:phones AS text[]))), added AS (
    INSERT INTO customers (id, phone, name, email, created_at)
    SELECT w.id, w.phone, w.name, w.email, :now FROM wanted w
    WHERE NOT EXISTS (SELECT FROM known WHERE known.phone = w.phone)
    ORDER BY w.phone ON CONFLICT (phone) DO NOTHING RETURNING id, phone
)
SELECT id, phone, true AS returning FROM known UNION ALL SELECT id, phone, false FROM added
""")


def find_or_add(connection: Connection, contacts: Sequence[Contact]) -> list[Customer]:
    """Give the customer for each contact, by number. Never changes a known one's name."""
    people = {
        contact.phone: {"id": uuid7().hex, "phone": contact.phone, "name": contact.name, "email": contact.email}
        for contact in reversed(contacts)  # of two with one number, the first names the customer
    }
    found: dict[str, Customer] = {}
    while missing := [person for phone, person in people.items() if phone not in found]:
        values = {
            "people": msgspec.json.encode(missing).decode(),
            "phones": [person["phone"] for person in missing],
            "now": clock.now(),
        }
        for row in connection.execute(_FIND_OR_ADD, values):
            found[row.phone] = Customer(row.id, row.returning)
        # Whom somebody else added just now, a second look sees.
    met: set[str] = set()
    customers = []
    for contact in contacts:
        known = found[contact.phone]
        customers.append(Customer(known.id, known.returning or contact.phone in met))
        met.add(contact.phone)
    return customers
