"""Registers: what staff write down, correct and retire by hand. They record no events."""

import hashlib
import json
import re
from collections.abc import Mapping
from itertools import chain, count
from typing import Annotated, Any, ClassVar

from pydantic import Field, create_model
from sqlalchemy import Connection, text

from domain import audit
from domain.database import hold
from domain.entry import LAST_PLACE, Ask, Entry, asks, jsonable
from domain.kernel.unit_of_work import UnitOfWork
from domain.sheet import MAX_ID, slug

Kept = dict[str, Any]
"""An entry as it is kept: its id, its fields as JSON has them, and the version that tells whether it was changed."""

_Version = Annotated[
    str,
    Field(pattern="^[0-9a-f]{16}$", description="As it was read; if the entry was changed since, the answer is 409."),
    Ask("Version", "Send the version that you read."),
]
_NAMED = 3
"""So many of those who need an entry are named."""


class RegisterError(Exception):
    """A register cannot do what it is asked to do; the message is a sentence about ``field``."""

    def __init__(self, sentence: str, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field


class UnknownEntryError(RegisterError):
    """There is no such entry."""


class WrongEntryError(RegisterError):
    """A field is well formed, and yet cannot be."""


class ConflictError(RegisterError):
    """What is there stands against it: its name is taken, it is in use, or somebody else changed it meanwhile."""


def alone(work: UnitOfWork) -> None:
    """Let nobody else change a register, or import the menu, until this work ends."""
    hold(work, "registers")


class Register:
    """One kind of thing that staff keep by hand, and how.

    A subclass in a file of its own below ``domain.registers`` describes one: the API, the staff's pages and the OpenAPI
    document come from it. All changes of registers wait for each other, so that none needs to fear another.
    """

    name: ClassVar[str]
    """Of the register, in addresses too."""
    one: ClassVar[str]
    """What one entry is called."""
    about: ClassVar[str]
    """A sentence for whoever opens it."""
    table: ClassVar[str]
    entry: ClassVar[type[Entry]]
    known_by: ClassVar[str] = "name"
    """The field that no two entries share; capitals are all the same."""
    same: ClassVar[str] = "lower(t.name) = lower(:value)"
    """SQL for the entries that have it."""
    order: ClassVar[str] = "lower(name), id"
    most: ClassVar[int] = 10_000
    """So many entries are listed at once."""
    in_use: ClassVar[str] = ""
    """SQL for the names of what needs the entry ``:id``, so that it cannot be retired."""
    elsewhere: ClassVar[Mapping[str, str]] = {}
    """SQL for the fields that are kept in other tables; ``_write_elsewhere`` writes them."""
    removal: ClassVar[str] = "Retire it: what speaks of it keeps it, and a change may bring it back"
    """What comes of removing an entry."""
    id_type: ClassVar[type] = str
    id_pattern: ClassVar[str] = rf"[\w-]{{1,{MAX_ID}}}"

    change_of: ClassVar[type[Entry]]
    """The entry as a change sends it: with the version that was read."""
    kept: ClassVar[type[Entry]]
    """The entry as it is answered: with id and version."""

    def __init_subclass__(cls) -> None:
        """Derive the entry's two other forms."""
        called = cls.entry.__name__
        cls.change_of = create_model(f"{called}Change", __base__=cls.entry, version=_Version)
        cls.kept = create_model(f"Kept{called}", __base__=cls.entry, id=(cls.id_type, ...), version=(str, ...))

    def read(self, connection: Connection, after: str = "") -> list[Kept]:
        """Read the entries, in their order; where there are many, those after an entry."""
        return self._read(connection, f"ORDER BY {self.order} LIMIT :most", most=self.most)

    def get(self, connection: Connection, entry_id: str) -> Kept:
        """Read one entry. Raises UnknownEntryError."""
        found = self._read(connection, "WHERE t.id = :id", id=self._key(entry_id))
        if not found:
            raise UnknownEntryError(f"There is no such {self.one}.")
        return found[0]

    def add(self, work: UnitOfWork, entry: Any, by: str) -> Kept:
        """Write down a new entry; the audit keeps by whom. Raises WrongEntryError or ConflictError."""
        alone(work)
        self._check(work, entry, None)
        values = self._new(work, entry) | self._values(work, entry)
        names = ", ".join(values)
        work.run(f"INSERT INTO {self.table} ({names}) VALUES ({', '.join(f':{name}' for name in values)})", **values)
        self._write_elsewhere(work, values["id"], entry)
        self._note(work, by, "added", values["id"])
        return self.get(work.connection, str(values["id"]))

    def change(self, work: UnitOfWork, entry_id: str, entry: Any, version: str, by: str) -> Kept:
        """Write down an entry anew, as somebody changed it who had read this version; the audit keeps by whom.

        Raises UnknownEntryError, WrongEntryError or ConflictError.
        """
        kept = self._lock(work, entry_id, version)
        self._check(work, entry, kept)
        values = self._values(work, entry)
        work.run(
            f"UPDATE {self.table} SET {', '.join(f'{name} = :{name}' for name in values)} WHERE id = :id",
            id=kept["id"],
            **values,
        )
        self._write_elsewhere(work, kept["id"], entry)
        self._note(work, by, "changed", kept["id"])
        return self.get(work.connection, entry_id)

    def remove(self, work: UnitOfWork, entry_id: str, version: str | None, by: str) -> Kept:
        """Retire an entry: orders, stock and tours may speak of it. Gives what it is now.

        With a version it is retired as it was read, without one whatever it says; the audit keeps by whom.

        Raises UnknownEntryError or ConflictError.
        """
        kept = self._lock(work, entry_id, version)
        self._refuse_in_use(work, kept)
        work.run(f"UPDATE {self.table} SET retired = true WHERE id = :id", id=kept["id"])
        self._note(work, by, "removed", kept["id"])
        return self.get(work.connection, entry_id)

    def _new(self, work: UnitOfWork, entry: Any) -> dict[str, Any]:
        """Give the columns that only a new entry brings: its id, made of its name."""
        first = slug(entry.name)[:MAX_ID].strip("-")
        if not first:
            raise WrongEntryError("Give a name with letters or digits.", "name")
        taken = set(work.column(f"SELECT id FROM {self.table} WHERE id LIKE :like", like=f"{first[: MAX_ID - 6]}%"))
        others = (f"{first[: MAX_ID - 6]}-{number}" for number in count(2))
        return {"id": next(key for key in chain([first], others) if key not in taken)}

    def _write_elsewhere(self, work: UnitOfWork, entry_id: Any, entry: Any) -> None:
        """Write the fields that are kept in other tables."""

    def _lock(self, work: UnitOfWork, entry_id: str, version: str | None) -> Kept:
        alone(work)
        work.run(f"SELECT id FROM {self.table} WHERE id = :id FOR UPDATE", id=self._key(entry_id))
        kept = self.get(work.connection, entry_id)
        if version is not None and kept["version"] != version:
            raise ConflictError("Somebody else changed this meanwhile: look at it again.", "version")
        return kept

    def _note(self, work: UnitOfWork, by: str, how: str, entry_id: Any) -> None:
        audit.note(work, by, f"entry {how}", f"{self.name}:{entry_id}")

    def _check(self, work: UnitOfWork, entry: Any, kept: Kept | None) -> None:
        """Refuse what cannot be beside the other entries."""
        retired = getattr(entry, "retired", False)
        self._refuse_taken(work, getattr(entry, self.known_by), kept)
        for field, ask in asks(self.entry).items():
            value = getattr(entry, field)
            used = "" if retired else " AND NOT retired"
            if ask.of and not work.column(f"SELECT id FROM {ask.of} WHERE id = :id{used}", id=value):
                raise WrongEntryError(ask.wanted, field)
        if retired and kept and not kept["retired"]:
            self._refuse_in_use(work, kept)

    def _refuse_taken(self, work: UnitOfWork, value: str, kept: Kept | None) -> None:
        others = self._read(work.connection, f"WHERE {self.same} ORDER BY t.id", value=value)
        other = next((other for other in others if kept is None or other["id"] != kept["id"]), None)
        if other:
            bring_back = ", and is retired: bring that one back" if other.get("retired") else ""
            raise ConflictError(f"Another {self.one} has this {self.known_by}{bring_back}.", self.known_by)

    def _refuse_in_use(self, work: UnitOfWork, kept: Kept) -> None:
        names = work.column(self.in_use, id=kept["id"]) if self.in_use else []
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            raise ConflictError(
                f"It is needed for {', '.join(names[:_NAMED])}{more}: change or retire that first.", "retired"
            )

    def _values(self, work: UnitOfWork, entry: Any) -> dict[str, Any]:
        """Give an entry's own columns."""
        values = {
            ask.column or field: getattr(entry, field)
            for field, ask in asks(self.entry).items()
            if field not in self.elsewhere
        }
        if "rank" in values and values["rank"] is None:
            values["rank"] = self._next_place(work)
        return values

    def _next_place(self, work: UnitOfWork) -> int:
        place: int = work.run(f"SELECT coalesce(max(rank), 0) + 1 FROM {self.table}").scalar_one()
        if place > LAST_PLACE:
            raise ConflictError("The last place in the list is taken: choose another one.", "position")
        return place

    def _key(self, entry_id: str) -> Any:
        if not re.fullmatch(self.id_pattern, entry_id):
            raise UnknownEntryError(f"There is no such {self.one}.")
        return self.id_type(entry_id)

    def _read(self, connection: Connection, rest: str, **values: Any) -> list[Kept]:
        fields = [
            f"{self.elsewhere.get(field) or 't.' + (ask.column or field)} AS {field}"
            for field, ask in asks(self.entry).items()
        ]
        rows = connection.execute(text(f"SELECT t.id, {', '.join(fields)} FROM {self.table} t {rest}"), values)
        return [_versioned({name: jsonable(value) for name, value in row._mapping.items()}) for row in rows]


def _versioned(kept: Kept) -> Kept:
    """Add the version: it tells what was read, so whoever writes it, by whatever way, changes it."""
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode())
    return kept | {"version": digest.hexdigest()[:16]}
