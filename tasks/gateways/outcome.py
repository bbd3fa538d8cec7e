"""Keeps what became of messages: the answers of a handler's calls, as rows."""

from collections.abc import Callable, Sequence

from domain import messages
from domain.kernel.event import Event
from domain.kernel.unit_of_work import UnitOfWork
from domain.messages import Message
from tasks.bus.registry import Answer

_STATES = {"done": "sent", "failed": "queued", "parked": "failed"}


def write_down(
    shop: UnitOfWork, answers: Sequence[Answer], message_for: Callable[[Event, str], Message | None]
) -> None:
    """Write a row for each answer about a message; a failed one shows the last line of its error.

    Poison is parked without having been called: its message is drafted now.
    """
    for answer in answers:
        if answer.state == "parked" and answer.call.draft is None:
            answer.call.draft = message_for(answer.event, answer.call.key)
    messages.write_down(
        shop,
        [
            (answer.call.draft, _STATES[answer.state], answer.call.attempt, _said(answer))
            for answer in answers
            if answer.call.draft is not None
        ],
    )


def _said(answer: Answer) -> str | None:
    if answer.error:
        return answer.error.strip().splitlines()[-1][:300]
    return str(answer.result) if answer.result is not None else None
