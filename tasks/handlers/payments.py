"""Payments by card: held for a placed order, taken for a delivered one, given back for a cancelled one."""

from collections.abc import Sequence

from domain import money, payments
from domain.events import OrderCancelled, OrderDelivered, OrderPlaced
from domain.kernel.unit_of_work import UnitOfWork
from domain.payments import UNANSWERED, Change, Payment
from tasks.bus.registry import Answer, Call, calls, settles
from tasks.bus.retry import Retry, Wait
from tasks.database import database
from tasks.gateways.payment import Charge, Declined, PaymentService, service

RETRY = Retry(times=10, first=1, cap=30)
CARD = {"payment": "card"}
LOOK_AGAIN = 1.0
"""Seconds until a cancellation looks again whether the payment that it gives back was answered."""


@calls(OrderPlaced, retry=RETRY, where=CARD)
def authorise(order: OrderPlaced, call: Call) -> str | None:
    """Hold the order's total on its card. Whoever asks again for one that was given up finds out, and lets go of it."""
    payment = _by_card(order.payment, order.order_id)
    if payment is None or payment.state not in {None, "unanswered"}:
        return None
    if payment.is_cancelled and call.attempt == 1 and payment.state is None:
        call.draft = Change(order.order_id, "voided", call.key, because=order)
        return "never asked for"
    call.draft = change = _hold(service(), payment, call.key, order)
    return change.reference or change.reason


@calls(OrderDelivered, retry=RETRY, where=CARD)
def capture(order: OrderDelivered, call: Call) -> str | None:
    """Take what is held."""
    payment = _by_card(order.payment, order.order_id)
    if payment is None or payment.state != "authorised" or not payment.reference:
        return None
    service().capture(payment.reference, call.key)
    call.draft = Change(order.order_id, "captured", call.key, because=order)
    return payment.reference


@calls(OrderCancelled, retry=RETRY, where=CARD)
def give_back(order: OrderCancelled, call: Call) -> str | None:
    """Let go of what is held, or give back what was taken, once it is known which."""
    payment = _by_card(order.payment, order.order_id)
    if payment is None or payment.state in {"declined", "voided", "refunded"}:
        return None
    if payment.state is None:
        raise Wait(LOOK_AGAIN)
    call.draft = change = _undo(service(), payment, call.key, order)
    return change.reference


@settles
def settle(answers: Sequence[Answer], shop: UnitOfWork) -> None:
    """Keep what became of each payment; one that nobody answered for is none."""
    payments.write_down(shop, [change for answer in answers if (change := _change(answer)) is not None])


def _change(answer: Answer) -> Change | None:
    if answer.state == "done":
        return answer.call.draft if isinstance(answer.call.draft, Change) else None
    if answer.state == "parked" and isinstance(answer.event, OrderPlaced) and answer.event.payment == "card":
        return Change(answer.event.order_id, "unanswered", answer.call.key, reason=UNANSWERED, because=answer.event)
    return None


def _by_card(how: str | None, order_id: str) -> Payment | None:
    if how != "card":
        return None
    with database().read() as connection:
        return payments.find(connection, order_id)


def _hold(at: PaymentService, payment: Payment, key: str, order: OrderPlaced) -> Change:
    answer = at.authorise(_charge(payment), key)
    if isinstance(answer, Declined):
        return Change(payment.order_id, "declined", key, reason=answer.reason, because=order)
    if payment.is_cancelled or payment.state == "unanswered":  # too late: nobody waits for it
        at.void(answer.reference, f"{key}:void")
        return Change(payment.order_id, "voided", key, answer.reference, because=order)
    return Change(payment.order_id, "authorised", key, answer.reference, because=order)


def _undo(at: PaymentService, payment: Payment, key: str, order: OrderCancelled) -> Change:
    reference = payment.reference
    if payment.state == "unanswered":  # it may be held all the same: to ask again under its key is to find out
        answer = at.authorise(_charge(payment), payment.key or key)
        reference = None if isinstance(answer, Declined) else answer.reference
    if payment.state == "captured":
        at.refund(reference or "", key)
        return Change(payment.order_id, "refunded", key, reference, because=order)
    if reference:
        at.void(reference, key)
    return Change(payment.order_id, "voided", key, reference, because=order)


def _charge(payment: Payment) -> Charge:
    cents = money.cents(payment.amount, payment.currency)
    return Charge(payment.order_id, cents, payment.currency, payment.card_token)
