"""A provider of text messages and mail to try things out with: it keeps a journal, and some recipients have names.

The last three digits of a number +1 500 555 0xxx, and the first word of an address @sandbox.example, say what becomes
of a message: 001 or ``refuse`` is refused for good; 429 or ``busy`` finds too much to do for its first three seconds;
408 or ``timeout`` never gets an answer and is never sent; 504 or ``timeout-sent`` is sent, and the first answer is
lost. All others are taken. A repetition with the same key is dropped and answered as before.
"""

import re
from typing import Any
from uuid import uuid4

from sqlalchemy import text

from domain.messages import Message
from tasks.bus.retry import Permanent, Wait
from tasks.database import database

BUSY_SECONDS = 3
RETRY_AFTER = 1.0

REFUSE, BUSY, TIMEOUT, TIMEOUT_SENT = "refuse", "busy", "timeout", "timeout-sent"
_NUMBERS = {"001": REFUSE, "429": BUSY, "408": TIMEOUT, "504": TIMEOUT_SENT}
_NAMED = re.compile(r"\+15005550(?P<digits>\d{3})|(?P<word>[a-z-]+)@sandbox\.example")

_ASK = text("""
INSERT INTO sandbox.messages AS m (key, channel, reference, state) VALUES (:key, :channel, :reference, 'new')
ON CONFLICT (key) DO UPDATE SET asked = m.asked + 1
RETURNING reference, state, asked, clock_timestamp() - first_asked_at < make_interval(secs => :busy) AS is_busy
""")
_NOTE = text("UPDATE sandbox.messages SET state = :state WHERE key = :key AND state = 'new'")


class NoAnswerError(Exception):
    """The sandbox gives no answer: nobody knows what became of the message."""


def send(message: Message, key: str) -> str:
    """Take a message; gives the sandbox's own name for it.

    Raises Permanent for one that is refused, Wait where there is too much to do, NoAnswerError without an answer.
    """
    behaviour = _behaviour(message.recipient)
    with database().engine.begin() as connection:
        asked = connection.execute(
            _ASK,
            {
                "key": key,
                "channel": message.channel,
                "reference": f"sandbox_{uuid4().hex}",
                "busy": BUSY_SECONDS,
            },
        ).one()
        state = _becomes(behaviour, asked)
        connection.execute(_NOTE, {"key": key, "state": state})
    if state == "refused":
        raise Permanent("400 from the sandbox: it sends nothing to this recipient.")
    if state == "new" and behaviour == BUSY:
        raise Wait(RETRY_AFTER, "429 from the sandbox")
    if state == "new" or (behaviour == TIMEOUT_SENT and asked.asked == 1):
        raise NoAnswerError("The sandbox does not answer.")
    return str(asked.reference)


def _behaviour(recipient: str) -> str | None:
    found = _NAMED.fullmatch(recipient)
    if found is None:
        return None
    return found["word"] or _NUMBERS.get(found["digits"])


def _becomes(behaviour: str | None, asked: Any) -> str:
    """Tell what a message is once it was asked for; one that was answered stays as it is."""
    if asked.state != "new":
        return str(asked.state)
    if behaviour == TIMEOUT or (behaviour == BUSY and asked.is_busy):
        return "new"
    return "refused" if behaviour == REFUSE else "sent"
