"""What customers and suppliers were told: a row for every message with its state. The words are in ``texts``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from domain import procurement
from domain.events import MessageFailed, MessageRequeued, SupplierReminded
from domain.inventory import StockError
from domain.kernel import clock
from domain.kernel.event import Event
from domain.kernel.unit_of_work import UnitOfWork

AGAIN_SECONDS = 30


class MessageError(Exception):
    """A message cannot be sent again."""


class UnknownMessageError(MessageError):
    """There is no such message."""


class TooSoonError(MessageError):
    """The message was sent again a moment ago."""


class TooLateError(MessageError):
    """What the message asks for has come already."""


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
    TooLateError for one about a purchase that has come.
    """
    row = work.run("SELECT * FROM messages WHERE key = :key FOR UPDATE", key=key).one_or_none()
    if row is None:
        raise UnknownMessageError("There is no such message.")
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


def recent(connection: Connection, *, order_id: str | None = None, limit: int = 100) -> list[MessageRow]:
    """Read the newest messages, of one order if one is given."""
    columns = ", ".join(MessageRow.__dataclass_fields__)
    which = "" if order_id is None else "WHERE order_id = :order"
    rows = connection.execute(
        text(f"SELECT {columns} FROM messages {which} ORDER BY created_at DESC, key LIMIT :limit"),
        {"order": order_id, "limit": limit},
    )
    return [MessageRow(*row) for row in rows]
