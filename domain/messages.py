"""What customers and suppliers were told: a row for every message with its state. The words are in ``texts``."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from domain import audit, procurement
from domain.events import MessageFailed, MessageRequeued, OrderOutForDelivery, OrderPlaced, OrderReady, SupplierReminded
from domain.inventory import StockError
from domain.kernel import clock
from domain.kernel.event import Event
from domain.kernel.unit_of_work import UnitOfWork

AGAIN_SECONDS = 30

# What a message is about, and its channel → the states of its order that make it pointless, once the order has been so
# for this long. The mail that confirms an order is its bill, which nothing but a cancellation makes pointless. A ready
# notice is what an order's customer waits for; it has a minute, which its second way, by mail, may need.
OVERTAKEN_BY: Mapping[tuple[str, str], tuple[frozenset[str], timedelta]] = {
    (OrderPlaced.__name__, "sms"): (frozenset({"ready", "out_for_delivery", "delivered", "cancelled"}), timedelta()),
    (OrderPlaced.__name__, "email"): (frozenset({"cancelled"}), timedelta()),
    (OrderReady.__name__, "sms"): (frozenset({"delivered"}), timedelta(minutes=1)),
    (OrderReady.__name__, "email"): (frozenset({"delivered"}), timedelta(minutes=1)),
    (OrderOutForDelivery.__name__, "sms"): (frozenset({"delivered"}), timedelta()),
}


class MessageError(Exception):
    """What is asked of a message cannot be done."""


class UnknownMessageError(MessageError):
    """There is no such message."""


class TooSoonError(MessageError):
    """The message was sent again a moment ago."""


class TooLateError(MessageError):
    """The message was sent, or what it asks for has come already."""


class BeingSentError(MessageError):
    """A worker is sending the message at this moment."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message, to a customer about an order or to a supplier about a purchase.

    ``recipient`` is a number in E.164 form or an e-mail address.
    """

    key: str
    channel: str
    about: str
    order_id: str | None
    customer_id: str | None
    recipient: str
    body: str
    subject: str | None = None
    purchase_id: int | None = None


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message and what became of it."""

    key: str
    order_id: str | None
    purchase_id: int | None
    channel: str
    about: str
    recipient: str
    subject: str | None
    body: str
    state: str
    attempts: int
    answer: str | None
    created_at: datetime
    sent_at: datetime | None


class Due(msgspec.Struct, frozen=True):
    """A message that is about to go out: its key, what it is about, which order, and by which channel."""

    key: str
    about: str
    order_id: str | None
    channel: str


_SINCE = "coalesce(o.cancelled_at, o.delivered_at, o.out_for_delivery_at, o.ready_at) AS since"
_STANDS = text(f"""
SELECT d.key, d.about, d.channel, m.answer, m.state = 'aborted' AS is_aborted, o.status, {_SINCE}
FROM json_to_recordset(CAST(:due AS json)) AS d (key text, about text, order_id text, channel text)
LEFT JOIN messages m ON m.key = d.key LEFT JOIN orders o ON o.id = d.order_id
""")


def needless(connection: Connection, due: Sequence[Due]) -> dict[str, str]:
    """Tell which messages are not to be sent any more, and why; one statement for all, and none for none."""
    if not due:
        return {}
    rows = connection.execute(_STANDS, {"due": msgspec.json.encode(due).decode()})
    return {row.key: reason for row in rows if (reason := row.answer if row.is_aborted else _overtaken(row))}


def _overtaken(row: Any) -> str | None:
    states, patience = OVERTAKEN_BY.get((row.about, row.channel), (frozenset[str](), timedelta()))
    if row.status in states and clock.now() - row.since >= patience:
        return f"overtaken by {row.status}"
    return None


_AGAIN = """(key) DO UPDATE SET state = excluded.state, attempts = excluded.attempts, answer = excluded.answer,
    sent_at = excluded.sent_at"""


def write_down(work: UnitOfWork, outcomes: Sequence[tuple[Message, str, int, str | None]]) -> None:
    """Write what became of messages: each with its state, the number of attempts and the provider's answer."""
    now = clock.now()
    rows = [
        {name: getattr(message, name) for name in Message.__dataclass_fields__}
        | {
            "state": state,
            "attempts": attempts,
            "answer": answer,
            "created_at": now,
            "sent_at": now if state == "sent" else None,
        }
        for message, state, attempts, answer in sorted(outcomes, key=lambda outcome: outcome[0].key)
    ]
    work.insert("messages", rows, _AGAIN)


def given_up(work: UnitOfWork, keys: Iterable[str]) -> set[str]:
    """Tell which of these messages were given up before, and told in another way then."""
    streams = [f"{MessageFailed.stream}-{key}" for key in keys]
    found = work.column(
        "SELECT data ->> 'message_key' FROM events WHERE stream = ANY(:streams) AND type = :type",
        streams=streams,
        type=MessageFailed.__name__,
    )
    return set(found)


def request_again(work: UnitOfWork, key: str, requested_by: str) -> str | None:
    """Have a message sent once more, as a message of its own; gives its order's id, if it is about one.

    Raises UnknownMessageError, TooSoonError where it was asked for a moment ago (a double click is one wish), or
    TooLateError for one that its order has overtaken, or about a purchase that has come.
    """
    row = work.run(
        f"SELECT m.*, o.status, {_SINCE} FROM messages m LEFT JOIN orders o ON o.id = m.order_id WHERE m.key = :key"
        " FOR UPDATE OF m",
        key=key,
    ).one_or_none()
    if row is None:
        raise UnknownMessageError("There is no such message.")
    if _overtaken(row):
        raise TooLateError(
            f"Its order is {row.status.replace('_', ' ')} by now: the message has nothing to tell any more."
        )
    _refuse_at_once(work, MessageRequeued if row.purchase_id is None else SupplierReminded, row.purchase_id or key)
    if row.purchase_id is not None:
        _remind(work, row.purchase_id, requested_by)
        return None
    work.record(
        MessageRequeued(
            message_key=row.key,
            order_id=row.order_id,
            customer_id=row.customer_id,
            customer_phone=row.recipient if row.channel == "sms" else None,
            customer_email=row.recipient if row.channel == "email" else None,
            about=row.about,
            subject=row.subject,
            body=row.body,
            channel=row.channel,
            requested_by=requested_by,
        )
    )
    return str(row.order_id)


def _refuse_at_once(work: UnitOfWork, wish: type[Event], about: object) -> None:
    lately = work.column(
        "SELECT 1 FROM events WHERE stream = :stream AND type = :type"
        " AND recorded_at > now() - make_interval(secs => :seconds)",
        stream=f"{wish.stream}-{about}",
        type=wish.__name__,
        seconds=AGAIN_SECONDS,
    )
    if lately:
        raise TooSoonError(f"It was sent again just now; after {AGAIN_SECONDS} seconds it can be once more.")


def _remind(work: UnitOfWork, purchase_id: int, requested_by: str) -> None:
    try:
        procurement.remind(work, purchase_id, requested_by)
    except StockError as error:
        raise TooLateError(str(error)) from None


def abort(work: UnitOfWork, key: str, by: str) -> bool:
    """Have a message not sent any more, whatever retries are on their way; False if it was aborted before.

    Its delivery is locked first, as those who send do it: either a worker has claimed it by now, and then it is too
    late, or whoever claims it next finds the message aborted. Raises UnknownMessageError, TooLateError for one that
    was sent, or BeingSentError.
    """
    event_id, _, handler = key.partition(":")
    delivery = work.run(
        "SELECT d.position, d.claimed_until > now() AS is_claimed FROM deliveries d JOIN events e USING (position)"
        " WHERE e.id = :event AND d.handler = :handler FOR UPDATE OF d",
        event=_uuid(event_id),
        handler=handler,
    ).one_or_none()
    row = work.run("SELECT state FROM messages WHERE key = :key FOR UPDATE", key=key).one_or_none()
    if row is None:
        raise UnknownMessageError("There is no such message.")
    if row.state == "sent":
        raise TooLateError("The message was sent: it cannot be aborted any more.")
    if row.state == "aborted":
        return False
    if delivery and delivery.is_claimed:
        raise BeingSentError("The message is being sent at this moment: look again in half a minute.")
    work.run(
        "UPDATE messages SET state = 'aborted', answer = :answer WHERE key = :key", key=key, answer=f"aborted by {by}"
    )
    audit.note(work, by, "message aborted", key, position=delivery.position if delivery else None, handler=handler)
    return True


def _uuid(text_: str) -> UUID | None:
    try:
        return UUID(text_)
    except ValueError:
        return None


_READ = f"SELECT {', '.join(MessageRow.__dataclass_fields__)} FROM messages "


def recent(
    connection: Connection, *, order_id: str | None = None, state: str | None = None, limit: int = 100
) -> list[MessageRow]:
    """Read the newest messages; of one order, or in one state, if one is given."""
    wanted = {"order_id": order_id, "state": state}
    which = " AND ".join(f"{name} = :{name}" for name, value in wanted.items() if value is not None)
    if state not in {None, "sent"}:
        which += " AND state <> 'sent'"  # few, with an index of their own, which a parameter does not lead to
    rows = connection.execute(
        text(f"{_READ} WHERE {which or 'true'} ORDER BY created_at DESC, key LIMIT :limit"), wanted | {"limit": limit}
    )
    return [MessageRow(*row) for row in rows]


def get(connection: Connection, key: str) -> MessageRow:
    """Read a message. Raises UnknownMessageError."""
    row = connection.execute(text(_READ + "WHERE key = :key"), {"key": key}).one_or_none()
    if row is None:
        raise UnknownMessageError("There is no such message.")
    return MessageRow(*row)
