"""Somebody else's broker, to which integration events are published: what its four kinds have in common."""

import time
from collections.abc import Callable
from importlib.util import find_spec

import structlog

from domain import integration
from domain.events import OrderEvent
from domain.integration import IntegrationEvent
from domain.settings import PREFIX, SettingsError
from tasks.bus.registry import Call
from tasks.bus.retry import Retry, Wait

RETRY = Retry(times=8, first=1, cap=30)
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
"""Seconds for which a target is left alone after one failure, and after many."""
CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 4.0

_logger = structlog.get_logger(__name__)


def require(module: str, library: str, setting: str) -> None:
    """Raise SettingsError unless the library is installed that a setting wants."""
    if find_spec(module) is None:
        raise SettingsError(f"{PREFIX}{setting} wants {library}: install requirements-targets.lock too.")


class AwayError(Exception):
    """The target does not answer, or not now: nobody's fault but its own, and it will pass."""


class Target:
    """Publishes each event until the target has it.

    While the target is away every event waits, uncounted and never parked, and one of them tries it: after a second,
    then after twice as long each time, five minutes at most. What it will never take, ``publish`` has parked by raising
    Permanent. A process counts for itself.
    """

    def __init__(self, name: str, publish: Callable[[IntegrationEvent], None]) -> None:
        """Publish by a function that raises AwayError, or Permanent."""
        self._name = name
        self._publish = publish
        self._failures = 0
        self._next = 0.0

    def tell(self, event: OrderEvent, call: Call) -> str:
        """Publish an event; gives its type. Raises Wait while the target is away."""
        left = self._next - time.monotonic()
        if left > 0:
            raise Wait(left, f"{self._name} is left alone for a while")
        told = integration.translate(event, call.event_id)
        try:
            self._publish(told)
        except AwayError as error:
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 20))
            self._failures += 1
            self._next = time.monotonic() + pause
            _logger.warning("target_away", target=self._name, why=str(error), seconds=pause)
            raise Wait(pause, f"{self._name} is away: {error}") from error
        self._failures = 0
        return told.type
