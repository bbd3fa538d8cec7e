"""Which calls outside count as made twice, and which are owed to a fault."""

import pytest

from tests.chaos.outside import Call
from tests.chaos.plan import Fault
from tests.chaos.report import Struck, unexplained

pytestmark = pytest.mark.unit

TWICE = {"key": [Call("key", 100, answered=True), Call("key", 103, answered=True)]}


def struck(kind: str, target: str = "") -> Struck:
    return Struck(Fault(1, kind, target, 0), began=101, ended=101)


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("kill web", ""),
        ("kill relay", ""),
        ("kill redis", ""),
        ("cut", "redis"),
        ("kill group", "email"),
        ("stop worker", "sms"),
        ("old messages", "sms"),
        ("strike at point", "inside.handled kill"),
        ("strike at point", "outside.answered kill"),
    ],
)
def test_a_second_call_is_not_excused_by_a_fault_that_cannot_repeat_it(kind: str, target: str) -> None:
    assert unexplained(TWICE, "sms", [struck(kind, target)]) == [
        "key was called 2 times, with 0 faults that can be why"
    ]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("kill child", "sms"),
        ("kill main", "sms"),
        ("kill group", "sms"),
        ("stop worker for long", "sms"),
        ("strike at point", "outside.called kill-group"),
        ("kill postgres", ""),
        ("half-open", "postgres"),
        ("everything at once", ""),
    ],
)
def test_a_fault_between_a_call_and_its_answer_excuses_one_more_call_and_no_third(kind: str, target: str) -> None:
    assert unexplained(TWICE, "sms", [struck(kind, target)]) == []
    thrice = {"key": [*TWICE["key"], Call("key", 105, answered=True)]}
    assert len(unexplained(thrice, "sms", [struck(kind, target)])) == 1
