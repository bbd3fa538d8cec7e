"""What a worker tells Flower goes out together, a moment later."""

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from tasks.bus.consumer import EVENTS_EVERY, Consumer


class _Hub:
    """Celery's loop, as far as it waits."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, action: Callable[[], None]) -> None:
        self.waiting.append((seconds, action))


@pytest.fixture
def sent() -> list[str]:
    return []


@pytest.fixture
def hub() -> _Hub:
    return _Hub()


@pytest.fixture
def worker(hub: _Hub, sent: list[str]) -> Consumer:
    made = Consumer.__new__(Consumer)
    made.hub = hub
    made.event_dispatcher = SimpleNamespace(flush=lambda: sent.append("flushed"))
    return made


def test_the_events_of_a_moment_are_sent_together(worker: Consumer, hub: _Hub, sent: list[str]) -> None:
    for _ in range(3):
        worker.on_send_event_buffered()

    assert not sent
    ((seconds, flush),) = hub.waiting
    assert seconds == EVENTS_EVERY
    flush()
    assert sent == ["flushed"]


def test_events_are_sent_again_although_a_loop_forgot_its_timers(
    worker: Consumer, hub: _Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    worker.on_send_event_buffered()
    hub.waiting.clear()

    now += EVENTS_EVERY
    worker.on_send_event_buffered()

    assert len(hub.waiting) == 1


def test_a_worker_that_stops_tells_first_what_has_gathered(worker: Consumer, sent: list[str]) -> None:
    worker.blueprint = SimpleNamespace(stop=lambda _: sent.append("stopped"))
    worker.on_send_event_buffered()

    worker.stop()

    assert sent == ["flushed", "stopped"]
