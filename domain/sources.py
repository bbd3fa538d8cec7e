"""Sources: the other systems that may tell us something, each with a secret of its own by which we know it."""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from domain.kernel import clock
from domain.kernel.unit_of_work import UnitOfWork
from domain.secret import new_secret

OVEN, PARTNER = "oven", "partner"
KINDS = (OVEN, PARTNER)
"""A sensor in an oven, and who delivers for us."""
NAME = re.compile(r"[a-z0-9][a-z0-9./-]{0,63}")


class SourceError(Exception):
    """This cannot be done with a source; the message is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who tells us something; ``name`` is what its events give as their source."""

    name: str
    kind: str
    secret: str
    created_at: datetime


_SELECT = f"SELECT {', '.join(Source.__dataclass_fields__)} FROM sources "


def every(connection: Connection) -> list[Source]:
    """Read every source, sorted by name."""
    return [Source(*row) for row in connection.execute(text(_SELECT + "ORDER BY name"))]


def find(connection: Connection, name: str) -> Source | None:
    """Read a source, or give None where there is none of this name."""
    row = connection.execute(text(_SELECT + "WHERE name = :name"), {"name": name}).one_or_none()
    return Source(*row) if row else None


def add(work: UnitOfWork, name: str, kind: str) -> Source:
    """Add a source, with a secret of its own; gives it. Raises SourceError."""
    if not NAME.fullmatch(name):
        raise SourceError("Name a source by 1 to 64 small letters, digits, dots, slashes and dashes, as in oven-1.")
    source = Source(name, kind, new_secret(), clock.now())
    added = work.run(
        "INSERT INTO sources (name, kind, secret, created_at) VALUES (:name, :kind, :secret, :now)"
        " ON CONFLICT DO NOTHING RETURNING name",
        name=name,
        kind=kind,
        secret=source.secret,
        now=source.created_at,
    ).scalar()
    if added is None:
        raise SourceError(f"There is a source called {name} already: remove it first to give it a new secret.")
    return source


def remove(work: UnitOfWork, name: str) -> None:
    """Remove a source and what is known of its events. Raises SourceError."""
    if not work.run("DELETE FROM sources WHERE name = :name RETURNING name", name=name).scalar():
        raise SourceError(f"No source is called {name}: `pizzeria sources` lists them.")
