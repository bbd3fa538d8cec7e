"""Keeps what became of messages: the answers of a handler's calls, as rows."""

from collections.abc import Mapping, Sequence

from domain import messages
from domain.kernel.unit_of_work import UnitOfWork
from domain.messages import Message
from tasks.bus.registry import Answer

_STATES = {"done": "sent", "failed": "queued", "parked": "failed"}


def write_down(shop: UnitOfWork, answers: Sequence[Answer], sent: Mapping[str, Message | None]) -> None:
    """Write a row for each answer whose call sent a message; a failed one shows the last line of its error."""
    messages.write_down(
        shop,
        [
            (message, _STATES[answer.state], answer.call.attempt, _said(answer))
            for answer in answers
            if (message := sent[answer.call.key]) is not None
        ],
    )


def _said(answer: Answer) -> str | None:
    if answer.error:
        return answer.error.strip().splitlines()[-1][:300]
    return str(answer.result) if answer.result is not None else None
