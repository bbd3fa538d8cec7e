"""The bugs that are planted: read from their table, put into a copy of the tree, and listed for people."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.conftest import TREE

TABLE = Path(__file__).with_name("bugs.toml")
DOCUMENT = TREE / "docs" / "planted-bugs.md"

_HEAD = """# Planted bugs

A test that cannot fail proves nothing. `make planted` plants each of these bugs in a copy of the tree and demands that
the test beside it fails there, and passes without it. It takes some minutes and is no part of `make test`;
`make planted BUGS="no-lease no-sweep"` plants only those. The bugs stand in `tests/planted/bugs.toml`; this list is
written by `make planted` after a run in which each was caught.

| bug | what is wrong then | caught by |
| --- | --- | --- |
"""


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place that is changed: what stands there, exactly once, and what takes its place."""

    file: str
    search: str
    replace: str

    def times(self, tree: Path) -> int:
        """Tell how often the place is found."""
        return (tree / self.file).read_text().count(self.search)

    def make(self, tree: Path) -> None:
        """Change the file."""
        path = tree / self.file
        path.write_text(path.read_text().replace(self.search, self.replace))


class Bug(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One bug, and the test that has to notice it."""

    name: str
    what: str
    test: str
    change: tuple[Change, ...]


def bugs() -> tuple[Bug, ...]:
    """Give every bug of the table."""
    return msgspec.convert(tomllib.loads(TABLE.read_text())["bug"], tuple[Bug, ...])


def document(planted: Sequence[Bug]) -> str:
    """List the bugs for people."""
    return _HEAD + "".join(f"| {bug.name} | {bug.what} | `{bug.test.partition('/')[2]}` |\n" for bug in planted)
