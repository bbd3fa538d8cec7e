"""Text messages to customers."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from domain import caps
from domain.events import (
    MessageEvent,
    MessageFailed,
    MessageRequeued,
    OrderCancelled,
    OrderDelivered,
    OrderEvent,
    OrderOutForDelivery,
    OrderPlaced,
    OrderReady,
)
from domain.kernel.event import Recorded
from domain.kernel.unit_of_work import UnitOfWork
from domain.messages import Message, given_up
from domain.settings import settings
from domain.texts import Texts
from tasks.bus.registry import Answer, Call, calls, holds_back, settles
from tasks.bus.retry import Retry
from tasks.gateways import sms
from tasks.gateways.outcome import needless, write_down

RETRY = Retry(times=5, first=1, cap=30)


@calls(OrderPlaced, OrderReady, OrderOutForDelivery, OrderDelivered, OrderCancelled, MessageRequeued, retry=RETRY)
def send(event: OrderEvent | MessageRequeued, call: Call) -> str | None:
    """Send the text that tells of an event, unless nobody can receive it."""
    call.draft = message_for(event, call.key)
    return sms.send(call.draft, call.key) if call.draft else None


@holds_back
def hold_back(due: Sequence[tuple[Recorded[Any], Call]], connection: Connection) -> dict[str, str]:
    """Hold back what the order has overtaken, what staff have aborted, and what exceeds the caps."""
    pointless = needless("sms", due, connection)
    wishes = [
        caps.Wish(call.key, recorded.event.customer_phone)
        for recorded, call in due
        if call.key not in pointless and recorded.event.customer_phone
    ]
    return pointless | caps.beyond(connection, wishes, settings())


@settles
def settle(answers: Sequence[Answer], shop: UnitOfWork) -> None:
    """Keep what became of each message; a ready notice that is given up, or exceeds a cap, is told by e-mail."""
    write_down(shop, answers, message_for)
    caps.give_back(shop.connection, [answer.call.key for answer in answers if _was_never_tried(answer)])
    lost = [answer for answer in answers if answer.state == "parked" or _is_capped(answer)]
    told = given_up(shop, [answer.call.key for answer in lost]) if lost else set()
    for answer in lost:
        message, event = answer.call.draft, answer.event
        if message and isinstance(event, OrderReady) and message.key not in told:
            subject, body = Texts(settings()).mail(event)
            shop.record(
                MessageFailed(
                    message_key=message.key,
                    order_id=event.order_id,
                    customer_id=event.customer_id,
                    customer_phone=message.recipient,
                    customer_email=event.customer_email,
                    about=message.about,
                    subject=subject,
                    body=body,
                    channel="sms",
                ),
                because=event,
            )


def _is_capped(answer: Answer) -> bool:
    return answer.state == "held back" and str(answer.result).startswith(caps.OVER)


def _was_never_tried(answer: Answer) -> bool:
    return answer.state == "held back" and answer.call.attempt == 1


def message_for(event: object, key: str) -> Message | None:
    """Make the message for an event, or None where there is nobody to send it to."""
    if isinstance(event, MessageEvent):
        if event.channel != "sms" or not event.customer_phone or not event.body:
            return None
        return Message(key, "sms", event.about, event.order_id, event.customer_id, event.customer_phone, event.body)
    if not isinstance(event, OrderEvent) or not event.customer_phone:
        return None
    body = Texts(settings()).sms(event)
    return Message(key, "sms", type(event).__name__, event.order_id, event.customer_id, event.customer_phone, body)
