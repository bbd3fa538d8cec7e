import ctypes
from pathlib import Path

import pytest

from tasks.cli import process

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("place", ["0 0", "4096 4096", "4096 4097"])
def test_where_the_kernel_does_not_tell_where_its_command_line_is_a_copy_writes_nowhere(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[object] = []
    monkeypatch.setattr(Path, "read_text", lambda path: f"7 (a) name) S {'0 ' * 44}{place} 0 0 0")
    for way in ("memset", "memmove"):
        monkeypatch.setattr(ctypes, way, lambda *words: written.append(words))
    process._be_called("pizzeria worker sms")
    assert written == []
