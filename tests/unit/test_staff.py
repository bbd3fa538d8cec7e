import pytest
from argon2 import extract_parameters

from domain import staff

pytestmark = pytest.mark.unit


def test_a_name_that_nobody_has_is_compared_as_slowly_as_another() -> None:
    assert extract_parameters(staff._NOBODY) == extract_parameters(staff._hasher.hash("correct horse"))
    assert not staff._matches(staff._NOBODY, "")
