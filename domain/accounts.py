"""House accounts: customers who may owe for their orders up to a limit; a ledger, and what it says they owe."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, text
from uuid_utils.compat import uuid7

from domain import audit
from domain.kernel import clock
from domain.kernel.unit_of_work import UnitOfWork

PAYMENT = "account"
"""How an order is paid that is put on a house account."""
MOST = Decimal("9999999999.99")
"""Money in one limit or payment."""
# The same for all reasons: who knows only a number must not learn what account it has.
REFUSED = "We cannot put this on a house account: pay in cash, or call us."

_CENT = Decimal("0.01")
_AMOUNT = re.compile(r"[0-9]{1,10}(\.[0-9]{1,2})?")


class AccountError(Exception):
    """A house account cannot be what it is asked to be."""


@dataclass(frozen=True, slots=True)
class Wish:
    """An order that somebody wants to put on the account of a telephone number, with its idempotency key."""

    phone: str
    total: Decimal
    key: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger: ``about`` is the order or the payment; ``amount`` is what it adds to what is owed."""

    reason: str
    about: str
    amount: Decimal
    at: datetime


def amount(typed: str) -> Decimal:
    """Read an amount of money as people type it; what is none becomes NaN, which is refused."""
    typed = typed.strip()
    return Decimal(typed) if _AMOUNT.fullmatch(typed) else Decimal("NaN")


def within_limit(work: UnitOfWork, wishes: Sequence[Wish]) -> list[bool]:
    """Tell of each order whether it may be put on the account, given those before it, and lock the accounts.

    Whoever saves the orders has to charge them in the same transaction: until its end nobody else is let in. One whose
    key somebody else has used meanwhile may, and takes no credit: it cannot be saved, and tried again it is found.
    """
    if not wishes:
        return []
    known = work.run(
        "SELECT id, phone FROM customers WHERE phone = ANY(:phones)", phones=sorted({wish.phone for wish in wishes})
    )
    phones = {row.id: row.phone for row in known}
    work.locks("house_accounts")
    rows = work.run(
        "SELECT customer_id, credit_limit - balance AS credit FROM house_accounts WHERE customer_id = ANY(:ids)"
        " ORDER BY customer_id FOR UPDATE",
        ids=sorted(phones),
    )
    credit = {phones[row.customer_id]: row.credit for row in rows}
    keys = [wish.key for wish in wishes if wish.key]
    used = set(work.column("SELECT idempotency_key FROM orders WHERE idempotency_key = ANY(:keys)", keys=keys))
    may = []
    for wish in wishes:
        may.append(wish.key in used or wish.total <= credit.get(wish.phone, Decimal("-Infinity")))
        if may[-1] and wish.key not in used:
            credit[wish.phone] -= wish.total
            used |= {wish.key} - {None}
    return may


def charge(work: UnitOfWork, owed: Sequence[tuple[str, str, Decimal]]) -> None:
    """Add orders to what their customers owe: (customer id, order id, total) of each. The accounts must be locked."""
    if not owed:
        return
    now = clock.now()
    rows: list[dict[str, Any]] = [
        {"customer_id": customer, "reason": "charged", "about": order, "amount": total, "at": now}
        for customer, order, total in owed
    ]
    work.insert("account_entries", rows)
    _add(work, [(customer, total) for customer, _, total in owed])


def give_back(work: UnitOfWork, order_ids: Iterable[str]) -> None:
    """Take cancelled orders off what their customers owe, each once; what is on no account is left out."""
    work.locks("house_accounts")
    ids = sorted(set(order_ids))
    locked = work.column(
        "SELECT customer_id FROM house_accounts WHERE customer_id = ANY(ARRAY("
        "SELECT customer_id FROM account_entries WHERE about = ANY(:ids) AND reason = 'charged'))"
        " ORDER BY customer_id FOR UPDATE",
        ids=ids,
    )
    if not locked:
        return
    given = work.run(
        "INSERT INTO account_entries (customer_id, reason, about, amount, at)"
        " SELECT customer_id, 'cancelled', about, -amount, :now FROM account_entries"
        " WHERE about = ANY(:ids) AND reason = 'charged' ON CONFLICT DO NOTHING RETURNING customer_id, amount",
        ids=ids,
        now=clock.now(),
    )
    _add(work, [(row.customer_id, row.amount) for row in given])


def set_limit(work: UnitOfWork, customer_id: str, limit: Decimal, by: str) -> None:
    """Give a customer a house account, or change its limit; with one below what is owed nothing more can be added.

    The audit keeps who did it.

    Raises AccountError for a limit that is none, or a customer whom there is not.
    """
    if not limit.is_finite() or not 0 <= limit <= MOST or limit != limit.quantize(_CENT):
        raise AccountError("A limit is an amount of money, such as 100.00, or 0 for no credit.")
    work.locks("house_accounts")
    known = work.column(
        "INSERT INTO house_accounts (customer_id, credit_limit) SELECT id, :limit FROM customers WHERE id = :id"
        " ON CONFLICT (customer_id) DO UPDATE SET credit_limit = excluded.credit_limit RETURNING customer_id",
        id=customer_id,
        limit=limit,
    )
    if not known:
        raise AccountError("There is no such customer.")
    audit.note(work, by, f"account limit {limit:.2f}", f"customer {customer_id}")


def pay(work: UnitOfWork, customer_id: str, amount: Decimal, by: str) -> None:
    """Note that a customer has paid so much of what they owe. Raises AccountError where they do not owe that much."""
    if not amount.is_finite() or not 0 < amount <= MOST or amount != amount.quantize(_CENT):
        raise AccountError("What was paid is an amount of money, such as 25.00.")
    work.locks("house_accounts")
    owed = work.column("SELECT balance FROM house_accounts WHERE customer_id = :id FOR UPDATE", id=customer_id)
    if not owed:
        raise AccountError("This customer has no house account.")
    if amount > owed[0]:
        raise AccountError(f"This customer owes {owed[0]}: they cannot pay more.")
    row = {"customer_id": customer_id, "reason": "paid", "about": uuid7().hex, "amount": -amount, "at": clock.now()}
    work.insert("account_entries", [row])
    _add(work, [(customer_id, -amount)])
    audit.note(work, by, f"account paid {amount:.2f}", f"customer {customer_id}")


def entries(connection: Connection, customer_id: str, limit: int = 20) -> list[Entry]:
    """Read an account's ledger, the newest lines first."""
    rows = connection.execute(
        text(
            "SELECT reason, about, amount, at FROM account_entries WHERE customer_id = :customer"
            " ORDER BY id DESC LIMIT :limit"
        ),
        {"customer": customer_id, "limit": limit},
    )
    return [Entry(*row) for row in rows]


def _add(work: UnitOfWork, amounts: Iterable[tuple[str, Decimal]]) -> None:
    """Add to what customers owe; their accounts are locked."""
    sums: dict[str, Decimal] = {}
    for customer, amount in amounts:
        sums[customer] = sums.get(customer, Decimal(0)) + amount
    if sums:
        work.run(
            "UPDATE house_accounts SET balance = balance + CAST(CAST(:amounts AS jsonb) ->> customer_id AS numeric)"
            " WHERE customer_id = ANY(:ids)",
            ids=list(sums),
            amounts=msgspec.json.encode(sums).decode(),
        )
