"""Loyalty points: earned by delivered orders, given by one customer to another; a ledger, and balances it sums to."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text
from uuid_utils.compat import uuid7

from domain.customers import ID_PATTERN
from domain.events import PointsTransferred
from domain.kernel import clock
from domain.kernel.failpoint import FailPoint
from domain.kernel.unit_of_work import UnitOfWork

MOST = 1_000_000_000
"""Points in one transfer."""

_DEBITED = FailPoint("loyalty.debited")


class TransferError(Exception):
    """Points cannot be transferred so. ``field`` names what is wrong: from, to, points or the key."""

    field = ""


class InvalidTransferError(TransferError):
    """What is asked for is no transfer."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


class UnknownCustomerError(TransferError):
    """There is no such customer."""

    def __init__(self, field: str) -> None:
        super().__init__("There is no such customer.")
        self.field = field


class OverdrawnError(TransferError):
    """The customer has fewer points than that."""

    field = "points"


class TransferKeyReusedError(TransferError):
    """The idempotency key was used before, for another transfer."""

    field = "Idempotency-Key"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for another transfer: make a new key for each transfer.")


@dataclass(frozen=True, slots=True)
class Transfer:
    """Points that one customer is to give to another, both by id. ``by`` is who asks for it."""

    sender: str
    recipient: str
    points: int
    by: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Transferred:
    """A transfer that was done. ``balance`` is what the sender had left."""

    id: str
    sender: str
    recipient: str
    points: int
    balance: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger: ``about`` is the order or the transfer."""

    reason: str
    about: str
    points: int
    at: datetime


# One statement for a batch. Balances are written in the order in which everybody locks them.
_EARN = """
WITH earned AS (
    INSERT INTO loyalty_entries (customer_id, reason, about, points, at)
    SELECT customer_id, 'earned', id, floor(total), :now FROM orders WHERE id = ANY(:ids)
    ON CONFLICT DO NOTHING RETURNING customer_id, points
)
INSERT INTO loyalty_balances (customer_id, points)
SELECT customer_id, sum(points) FROM earned GROUP BY customer_id ORDER BY customer_id
ON CONFLICT (customer_id) DO UPDATE SET points = loyalty_balances.points + excluded.points
"""


def earn(work: UnitOfWork, order_ids: Iterable[str]) -> None:
    """Credit the customers of these delivered orders: a point for each whole unit of an order's total, tax included.

    An order earns once, however often it is named. It is read as it was placed: its total never changes.
    """
    work.locks("loyalty_balances")
    work.run(_EARN, ids=sorted(set(order_ids)), now=clock.now())


def transfer(work: UnitOfWork, asked: Transfer) -> tuple[Transferred, bool]:
    """Move points from one customer to another; gives the transfer, and whether it is new.

    With an idempotency key that was used for the same transfer, gives that one as it was then; parallel ones wait for
    each other. Raises TransferError, and then nothing is moved.
    """
    _validate(asked)
    _find(work, asked)
    had = _lock(work, [asked.sender, asked.recipient])[asked.sender]
    if before := _done_before(work, asked):
        return before, False
    if had < asked.points:
        raise OverdrawnError(f"This customer has {had} {'point' if had == 1 else 'points'}: transfer no more.")
    done = Transferred(uuid7().hex, asked.sender, asked.recipient, asked.points, had - asked.points, clock.now())
    if not _write_down(work, asked, done):  # used just now for others: who transfers the same waits for the balances
        raise TransferKeyReusedError
    _move(work, done, "sent", done.sender, -done.points)
    _DEBITED.reach()
    _move(work, done, "received", done.recipient, done.points)
    work.record(
        PointsTransferred(
            transfer_id=done.id,
            from_customer_id=done.sender,
            to_customer_id=done.recipient,
            points=done.points,
            transferred_by=asked.by,
            transferred_at=done.at,
        )
    )
    return done, True


def _validate(asked: Transfer) -> None:
    if not 1 <= asked.points <= MOST:
        raise InvalidTransferError("points", f"Transfer a whole number of points, from 1 to {MOST}.")
    if asked.sender == asked.recipient:
        raise InvalidTransferError("to", "Points go to another customer: name one who is not the sender.")


def _find(work: UnitOfWork, asked: Transfer) -> None:
    ids = [said for said in (asked.sender, asked.recipient) if re.fullmatch(ID_PATTERN, said)]
    known = set(work.column("SELECT id FROM customers WHERE id = ANY(:ids)", ids=ids))
    for field, customer in (("from", asked.sender), ("to", asked.recipient)):
        if customer not in known:
            raise UnknownCustomerError(field)


def _lock(work: UnitOfWork, customers: Sequence[str]) -> dict[str, int]:
    """Lock the customers' balances, sorted, and give them; those who have none yet get one."""
    work.locks("loyalty_balances")
    rows = work.run(
        "INSERT INTO loyalty_balances (customer_id) SELECT id FROM unnest(CAST(:ids AS text[])) AS id ORDER BY id"
        " ON CONFLICT (customer_id) DO UPDATE SET points = loyalty_balances.points RETURNING customer_id, points",
        ids=sorted(customers),
    )
    return {row.customer_id: row.points for row in rows}


def _done_before(work: UnitOfWork, asked: Transfer) -> Transferred | None:
    """Give the transfer that was done with this key, if any. Raises TransferKeyReusedError if it was another."""
    row = work.run(
        "SELECT id, sender, recipient, points, balance, at FROM loyalty_transfers WHERE idempotency_key = :key",
        key=asked.key,
    ).one_or_none()
    if row and (row.sender, row.recipient, row.points) != (asked.sender, asked.recipient, asked.points):
        raise TransferKeyReusedError
    return Transferred(**row._mapping) if row else None


def _write_down(work: UnitOfWork, asked: Transfer, done: Transferred) -> bool:
    row: dict[str, Any] = {name: getattr(done, name) for name in Transferred.__dataclass_fields__}
    row |= {"requested_by": asked.by, "idempotency_key": asked.key}
    return bool(work.insert("loyalty_transfers", [row], "(idempotency_key) DO NOTHING", returning="id"))


def _move(work: UnitOfWork, done: Transferred, reason: str, customer: str, points: int) -> None:
    work.run(
        "WITH moved AS (UPDATE loyalty_balances SET points = points + :points WHERE customer_id = :customer)"
        " INSERT INTO loyalty_entries (customer_id, reason, about, points, at)"
        " VALUES (:customer, :reason, :about, :points, :at)",
        customer=customer,
        reason=reason,
        about=done.id,
        points=points,
        at=done.at,
    )


def entries(connection: Connection, customer_id: str, limit: int = 20) -> list[Entry]:
    """Read a customer's ledger, the newest lines first."""
    rows = connection.execute(
        text(
            "SELECT reason, about, points, at FROM loyalty_entries WHERE customer_id = :customer"
            " ORDER BY id DESC LIMIT :limit"
        ),
        {"customer": customer_id, "limit": limit},
    )
    return [Entry(*row) for row in rows]
