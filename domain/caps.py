"""Caps on text messages: so many to one number and so many in all, within any hour.

Whoever is about to send takes a slot for each text, under one advisory lock and in the transaction that claims them, so
workers side by side never take more than there are. A retry keeps the slot of its key, which is then as new; a slot is
free after an hour. Of a number only a digest is kept, and no longer than its slot.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import msgspec
from sqlalchemy import Connection, text

from domain.database import ADVISORY_LOCKS
from domain.kernel import clock
from domain.settings import Settings

WINDOW = timedelta(hours=1)
OVER = "over the cap of "
"""How the reason begins for a text that may not be sent."""


class Wish(msgspec.Struct, frozen=True):
    """A text that is about to be sent, by its key, to a number."""

    key: str
    recipient: str


def beyond(connection: Connection, wishes: Sequence[Wish], settings: Settings) -> dict[str, str]:
    """Take slots for texts, the first ones first; gives the keys of those for which there is none, and why.

    Asks nothing where there are no caps.
    """
    if not wishes or not (settings.sms_per_number or settings.sms_per_hour):
        return {}
    connection.execute(_LOCK)
    now = clock.now()
    connection.execute(_FORGET, {"since": now - WINDOW})
    has_slot = set(connection.execute(_KEEP, {"keys": [wish.key for wish in wishes], "now": now}).scalars())
    taken = _taken(connection, wishes, settings)
    granted: list[Wish] = []
    refused: dict[str, str] = {}
    for wish in wishes:
        if wish.key in has_slot:
            continue
        if settings.sms_per_number and taken[_digest(wish.recipient)] >= settings.sms_per_number:
            refused[wish.key] = f"{OVER}{_texts(settings.sms_per_number)} to one number within an hour"
        elif settings.sms_per_hour and taken[_ALL] >= settings.sms_per_hour:
            refused[wish.key] = f"{OVER}{_texts(settings.sms_per_hour)} within an hour"
        else:
            granted.append(wish)
            taken.update([_digest(wish.recipient), _ALL])
    if granted:
        connection.execute(
            text("INSERT INTO sms_slots (key, recipient, at) VALUES (:key, :recipient, :at)"),
            [{"key": wish.key, "recipient": _digest(wish.recipient), "at": now} for wish in granted],
        )
    return refused


def give_back(connection: Connection, keys: Sequence[str]) -> None:
    """Give the slots of texts back that went to nobody: the order had overtaken them before they could be tried."""
    if keys:
        connection.execute(text("DELETE FROM sms_slots WHERE key = ANY(:keys)"), {"keys": list(keys)})


def forget(connection: Connection) -> None:
    """Let go of what is over, also where nobody wishes to send any more."""
    connection.execute(_LOCK)
    connection.execute(_FORGET, {"since": clock.now() - WINDOW})


_ALL = ""
_LOCK = text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCKS['caps']})")
_FORGET = text("DELETE FROM sms_slots WHERE at <= :since")
_KEEP = text("UPDATE sms_slots SET at = :now WHERE key = ANY(:keys) RETURNING key")


def _texts(number: int) -> str:
    return "1 text" if number == 1 else f"{number} texts"


def _digest(number: str) -> str:
    return hashlib.blake2b(number.encode(), digest_size=16).hexdigest()


def _taken(connection: Connection, wishes: Sequence[Wish], settings: Settings) -> Counter[str]:
    """Count the slots that are taken, by number and in all; what has no cap is not counted."""
    taken: Counter[str] = Counter()
    if settings.sms_per_number:
        rows = connection.execute(
            text("SELECT recipient, count(*) FROM sms_slots WHERE recipient = ANY(:numbers) GROUP BY recipient"),
            {"numbers": sorted({_digest(wish.recipient) for wish in wishes})},
        )
        taken.update({row.recipient: row.count for row in rows})
    if settings.sms_per_hour:
        taken[_ALL] = connection.execute(text("SELECT count(*) FROM sms_slots")).scalar_one()
    return taken
