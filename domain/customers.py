"""Customers, known by their telephone number."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, text
from uuid_utils.compat import uuid7

from domain.kernel import clock
from domain.kernel.unit_of_work import UnitOfWork

ID_PATTERN = "[0-9a-f]{32}"
"""A customer's id as a regular expression."""
_FEWEST_DIGITS = 6


class NoOneCustomerError(Exception):
    """What was said names no customer, or more than one; the message says what to do."""


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


@dataclass(frozen=True, slots=True)
class Record:
    """A customer as the staff know them: points, and the house account's limit and what is owed, if there is one."""

    id: str
    phone: str
    name: str
    points: int
    credit_limit: Decimal | None
    balance: Decimal | None

    @property
    def masked_phone(self) -> str:
        """Give enough of the number to tell customers apart, and too little to call them."""
        return f"{self.phone[:3]}{'•' * (len(self.phone) - 5)}{self.phone[-2:]}"


# All in one statement: each one costs more than what it does. Sorted: two who add the same people must not deadlock.
_FIND_OR_ADD = text("""
WITH wanted AS (
    SELECT * FROM json_to_recordset(CAST(:people AS json)) AS w (id text, phone text, name text, email text)
), known AS (
    SELECT c.id, c.phone, c.ordered, (SELECT k.key FROM personal_keys k WHERE k.person = c.id) AS key
    FROM customers c WHERE c.phone = ANY(CAST(:phones AS text[]))
), added AS (
    INSERT INTO customers (id, phone, name, email, created_at)
    SELECT w.id, w.phone, w.name, w.email, :now FROM wanted w
    WHERE NOT EXISTS (SELECT FROM known WHERE known.phone = w.phone)
    ORDER BY w.phone ON CONFLICT (phone) DO NOTHING RETURNING id, phone
)
SELECT id, phone, ordered, false AS added, key FROM known UNION ALL SELECT id, phone, true, true, NULL FROM added
""")
# Whom staff have written down orders for the first time: once, whoever else takes an order of theirs just now.
_FIRST = text("""
UPDATE customers SET ordered = true WHERE id IN (
    SELECT id FROM customers WHERE id = ANY(:ids) AND NOT ordered ORDER BY id FOR UPDATE
) RETURNING id, phone
""")


def find_or_add(work: UnitOfWork, contacts: Sequence[Contact]) -> list[Customer]:
    """Give the customer for each contact, by number, and the work their keys. Never changes a known one's name."""
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
        rows = work.connection.execute(_FIND_OR_ADD, values).all()
        for row in rows:
            if row.key:
                work.knows_key(row.id, row.key)
            elif row.added:
                work.add_key(row.id)
        found |= {row.phone: Customer(row.id, not row.added) for row in rows if row.ordered}
        if first := [row.id for row in rows if not row.ordered]:
            found |= {row.phone: Customer(row.id, False) for row in work.connection.execute(_FIRST, {"ids": first})}
        # Whom somebody else added or met just now, a second look sees.
    met: set[str] = set()
    customers = []
    for contact in contacts:
        known = found[contact.phone]
        customers.append(Customer(known.id, known.returning or contact.phone in met))
        met.add(contact.phone)
    return customers


_RECORDS = (
    "SELECT c.id, c.phone, c.name, coalesce(b.points, 0) AS points, a.credit_limit, a.balance FROM customers c"
    " LEFT JOIN loyalty_balances b ON b.customer_id = c.id LEFT JOIN house_accounts a ON a.customer_id = c.id "
)


def newest(connection: Connection, limit: int = 20) -> list[Record]:
    """Read those who ordered for the first time last."""
    return _read(connection, "ORDER BY c.id DESC LIMIT :limit", limit=limit)


def search(connection: Connection, typed: str, limit: int = 20) -> list[Record]:
    """Find customers by the last digits of their number, or by its first after a +; the newest first."""
    digits = re.sub("[^0-9]", "", typed)
    if not digits:
        return []
    pattern = f"+{digits}%" if typed.strip().startswith("+") else f"%{digits.lstrip('0')}"
    return _read(
        connection, "WHERE c.phone LIKE :pattern ORDER BY c.id DESC LIMIT :limit", pattern=pattern, limit=limit
    )


def get(connection: Connection, customer_id: str) -> Record:
    """Read a customer. Raises NoOneCustomerError."""
    found = _read(connection, "WHERE c.id = :id", id=customer_id)
    if not found:
        raise NoOneCustomerError("There is no such customer.")
    return found[0]


def find(connection: Connection, said: str) -> Record:
    """Find the one customer who is meant by an id or a telephone number. Raises NoOneCustomerError."""
    if re.fullmatch(ID_PATTERN, said):
        return get(connection, said)
    if len(re.sub("[^0-9]", "", said)) < _FEWEST_DIGITS:
        raise NoOneCustomerError(f"Give a customer's id, or at least {_FEWEST_DIGITS} digits of the telephone number.")
    found = search(connection, said, limit=2)
    if len(found) > 1:
        raise NoOneCustomerError("Several customers have such a number: give it with its country code.")
    if not found:
        raise NoOneCustomerError("There is no such customer.")
    return found[0]


def _read(connection: Connection, rest: str, **values: Any) -> list[Record]:
    return [Record(**row._mapping) for row in connection.execute(text(_RECORDS + rest), values)]
