"""When a failed delivery is tried again."""

import pytest

from tasks.bus.retry import Retry

pytestmark = pytest.mark.unit


def test_the_pause_doubles_up_to_the_cap_and_then_it_is_given_up() -> None:
    retry = Retry(times=5, first=1, cap=6, jitter=0)
    assert [retry.pause(attempt) for attempt in range(1, 7)] == [1, 2, 4, 6, 6, None]


def test_jitter_takes_off_at_most_its_part() -> None:
    retry = Retry(times=3, first=10, cap=10, jitter=0.3)
    pauses = [retry.pause(1) or 0 for _ in range(200)]
    assert all(7 <= pause <= 10 for pause in pauses)
    assert len(set(pauses)) > 1


def test_single_numbers_of_a_policy_can_be_changed() -> None:
    assert Retry(times=5, first=1, cap=30).overridden({"times": 2, "cap": 3}) == Retry(times=2, first=1, cap=3)
