"""Keeps what became of messages, the answers of a handler's calls, as rows; and holds back what is pointless by now."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from domain import messages
from domain.events import MessageEvent
from domain.kernel import clock
from domain.kernel.event import Event, Recorded
from domain.kernel.unit_of_work import UnitOfWork
from domain.messages import Message
from tasks.bus.registry import Answer, Call

_STATES = {"done": "sent", "failed": "queued", "parked": "failed", "held back": "aborted"}

FRESH = timedelta(seconds=2)
"""What is told for the first time within this of its event is not asked about: nothing can have made it pointless long.

So a shop that keeps up pays nothing for the question. A message's own event tells of something older."""


def needless(channel: str, due: Sequence[tuple[Recorded[Any], Call]], connection: Connection) -> dict[str, str]:
    """Tell which messages are not to be sent any more, by key, and why: overtaken by the order, or aborted by staff."""
    now = clock.now()
    return messages.needless(
        connection,
        [
            messages.Due(call.key, *_about(recorded.event), channel)
            for recorded, call in due
            if call.attempt > 1 or now - recorded.recorded_at > FRESH or isinstance(recorded.event, MessageEvent)
        ],
    )


def _about(event: Event) -> tuple[str, str | None]:
    """Give what a message is about, and which order."""
    about = event.about if isinstance(event, MessageEvent) else type(event).__name__
    return about, getattr(event, "order_id", None)


def write_down(
    shop: UnitOfWork, answers: Sequence[Answer], message_for: Callable[[Event, str], Message | None]
) -> None:
    """Write a row for each answer about a message, none for one that waits; a failed one shows its error's last line.

    What was not called, since it is poison or was held back, is drafted now.
    """
    for answer in answers:
        if answer.state in {"parked", "held back"} and answer.call.draft is None:
            answer.call.draft = message_for(answer.event, answer.call.key)
    messages.write_down(
        shop,
        [
            (answer.call.draft, _STATES[answer.state], _attempts(answer), _said(answer))
            for answer in answers
            if answer.call.draft is not None and answer.state in _STATES
        ],
    )


def _attempts(answer: Answer) -> int:
    return answer.call.attempt - (answer.state == "held back")  # which is none


def _said(answer: Answer) -> str | None:
    if answer.error:
        return answer.error.strip().splitlines()[-1][:300]
    return str(answer.result) if answer.result is not None else None
