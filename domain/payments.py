"""Payments by card: held when the order is placed, ours when it is delivered, given back when it is cancelled.

Cash is settled at the door and makes no payment here. Each change of money that is ours is posted twice, in the
currency's smallest unit, so that the postings of an order sum to zero.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from domain.events import (
    PaymentCaptured,
    PaymentDeclined,
    PaymentEvent,
    PaymentProcessed,
    PaymentRefunded,
    PaymentVoided,
)
from domain.kernel import clock
from domain.kernel.event import Event
from domain.kernel.unit_of_work import UnitOfWork
from domain.money import cents

UNANSWERED = "The payment could not be made."

APPROVE, DECLINE, TIMEOUT, TIMEOUT_CHARGED, DOWN = (
    "tok_approve",
    "tok_decline",
    "tok_timeout",
    "tok_timeout_charged",
    "tok_down",
)
SANDBOX_CARDS: Mapping[str, str] = {
    APPROVE: "Test card that is approved",
    DECLINE: "Test card that is declined",
    TIMEOUT: "Test card that gets no answer",
    TIMEOUT_CHARGED: "Test card that is charged, and the answer lost",
    DOWN: "Test card that finds the service down for 30 seconds",
}
"""The cards of the sandbox: token → what a person is told of it. It takes no others."""

# What a payment may become: state → the states it may come from; None is no payment yet.
TRANSITIONS: Mapping[str, frozenset[str | None]] = {
    "authorised": frozenset({None}),
    "declined": frozenset({None, "unanswered"}),
    "unanswered": frozenset({None}),
    "captured": frozenset({"authorised"}),
    "voided": frozenset({None, "authorised", "unanswered"}),
    "refunded": frozenset({"captured"}),
}


@dataclass(frozen=True, slots=True)
class Payment:
    """What is to be paid for an order by card, and how that stands: no ``state`` means that nobody was asked yet.

    ``key`` is under which the payment service was first asked, ``reference`` what it calls the payment.
    """

    order_id: str
    amount: Decimal
    currency: str
    card_token: str
    is_cancelled: bool
    state: str | None
    key: str | None
    reference: str | None


def find(connection: Connection, order_id: str) -> Payment | None:
    """Read how the payment for an order stands; None for an order that is not paid by card."""
    row = connection.execute(
        text(
            "SELECT o.id, o.total, o.currency, o.card_token, o.status = 'cancelled', p.state, p.key, p.reference"
            " FROM orders o LEFT JOIN payments p ON p.order_id = o.id WHERE o.id = :id AND o.payment = 'card'"
        ),
        {"id": order_id},
    ).one_or_none()
    return Payment(*row) if row else None


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a payment: the state it leads to, and the payment service's words for it, if it had any."""

    order_id: str
    state: str
    key: str
    reference: str | None = None
    reason: str | None = None
    because: Event | None = None


def write_down(work: UnitOfWork, changes: Sequence[Change]) -> None:
    """Let payments take their steps, post the money that moved, and record what happened; a step too late is none."""
    if not changes:
        return
    sums = _sums(work.connection, {change.order_id for change in changes})
    states = _lock(work, sums)
    for change in changes:
        before = states.get(change.order_id)
        if change.order_id not in sums or before not in TRANSITIONS[change.state]:
            continue
        states[change.order_id] = change.state
        _save(work, change, sums[change.order_id])
        _post(work, change.state, sums[change.order_id])
        if before or change.state != "voided":  # what was never asked for is voided without a word
            work.record(_HAPPENED[change.state](change, sums[change.order_id]), because=change.because)


def _sums(connection: Connection, order_ids: Iterable[str]) -> dict[str, Any]:
    rows = connection.execute(
        text("SELECT id, tax, total, currency FROM orders WHERE id = ANY(:ids)"), {"ids": sorted(order_ids)}
    )
    return {row.id: row for row in rows}


def _lock(work: UnitOfWork, order_ids: Iterable[str]) -> dict[str, str]:
    work.locks("payments")
    rows = work.run(
        "SELECT order_id, state FROM payments WHERE order_id = ANY(:ids) ORDER BY order_id FOR UPDATE",
        ids=sorted(order_ids),
    )
    return {row.order_id: row.state for row in rows}


def _save(work: UnitOfWork, change: Change, order: Any) -> None:
    work.run(
        "INSERT INTO payments (order_id, state, amount, currency, key, reference, reason, changed_at)"
        " VALUES (:order_id, :state, :amount, :currency, :key, :reference, :reason, :now)"
        " ON CONFLICT (order_id) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at,"
        " reference = coalesce(excluded.reference, payments.reference),"
        " reason = coalesce(excluded.reason, payments.reason)",
        order_id=change.order_id,
        state=change.state,
        amount=order.total,
        currency=order.currency,
        key=change.key,
        reference=change.reference,
        reason=change.reason,
        now=clock.now(),
    )


def _post(work: UnitOfWork, state: str, order: Any) -> None:
    if state not in {"captured", "refunded"}:
        return
    sign = 1 if state == "captured" else -1
    total, tax = cents(order.total, order.currency), cents(order.tax, order.currency)
    moved = {"card": total, "sales": tax - total, "tax": -tax}
    now = clock.now()
    work.insert(
        "postings",
        [
            {"order_id": order.id, "account": account, "cents": sign * amount, "why": state, "at": now}
            for account, amount in moved.items()
            if amount
        ],
    )


def _simply(kind: type[PaymentEvent]) -> Callable[[Change, Any], PaymentEvent]:
    return lambda change, order: kind(order_id=change.order_id, amount=order.total, currency=order.currency)


def _declined(change: Change, order: Any) -> PaymentDeclined:
    return PaymentDeclined(
        order_id=change.order_id,
        amount=order.total,
        currency=order.currency,
        reason=change.reason or UNANSWERED,
        outcome=change.state,
    )


_HAPPENED: Mapping[str, Callable[[Change, Any], PaymentEvent]] = {
    "authorised": _simply(PaymentProcessed),
    "declined": _declined,
    "unanswered": _declined,
    "captured": _simply(PaymentCaptured),
    "voided": _simply(PaymentVoided),
    "refunded": _simply(PaymentRefunded),
}
