"""Invariants: what must be true of the database, each told by one query that finds whatever breaks it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that must hold. ``violations`` is SQL that gives a row, with one text column, for each violation.

    ``when_quiet``: it need only hold once everything that was to be done is done. ``is_report``: what it
    finds is told, and breaks nothing.
    """

    title: str
    violations: str
    values: Mapping[str, Any] = field(default_factory=dict)
    when_quiet: bool = False
    is_report: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """How an invariant fared: the number of violations, and a few of them."""

    invariant: Invariant
    violations: int
    examples: tuple[str, ...]


def attempt(connection: Connection, invariant: Invariant) -> Finding:
    """Look for violations of an invariant in what the connection's transaction sees."""
    row = connection.execute(
        text(
            f"SELECT count(*) AS found, (array_agg(violation ORDER BY violation))[1:{EXAMPLES}] AS examples"
            f" FROM ({invariant.violations}) AS v (violation)"
        ),
        dict(invariant.values),
    ).one()
    return Finding(invariant, row.found, tuple(row.examples or ()))
