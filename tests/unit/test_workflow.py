"""When a load that is not out is taken for lost, and when for waiting."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pytest
from kombu.exceptions import OperationalError

from tasks import workflow

pytestmark = pytest.mark.unit


@dataclass
class FakeBroker:
    """A broker whose queues all hold so many messages."""

    waiting: int

    def depths(self, queues: Iterable[str]) -> Mapping[str, int]:
        return dict.fromkeys(queues, self.waiting)


@pytest.mark.parametrize(("waiting", "behind"), [(0, False), (3, False), (100, True)])
def test_a_load_is_waited_for_only_behind_a_backlog_and_not_behind_a_few_messages_of_a_busy_shop(
    monkeypatch: pytest.MonkeyPatch, waiting: int, behind: bool
) -> None:
    monkeypatch.setattr(workflow, "_broker", lambda: FakeBroker(waiting))
    assert workflow.is_behind() is behind


def test_a_load_is_waited_for_while_the_broker_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: FakeBroker, queues: Iterable[str]) -> Mapping[str, int]:
        raise OperationalError

    monkeypatch.setattr(FakeBroker, "depths", away)
    monkeypatch.setattr(workflow, "_broker", lambda: FakeBroker(0))
    assert workflow.is_behind() is True
