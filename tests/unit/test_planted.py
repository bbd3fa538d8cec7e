"""The list of planted bugs fits the tree, so that it cannot rot between two runs of `make planted`."""

import re

import pytest

from tests.conftest import TREE
from tests.planted.bugs import DOCUMENT, Bug, bugs, document

pytestmark = pytest.mark.unit

BUGS = bugs()


def test_no_two_bugs_have_one_name() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_has_one_place_to_be_planted_and_a_test_that_there_is(bug: Bug) -> None:
    assert {change.search: change.times(TREE) for change in bug.change} == {change.search: 1 for change in bug.change}
    file, _, test = bug.test.partition("::")
    assert re.search(rf"^def {test.partition('[')[0]}\(", (TREE / file).read_text(), re.MULTILINE)


def test_the_list_for_people_is_that_of_the_last_run_of_make_planted() -> None:
    assert DOCUMENT.read_text() == document(BUGS)
