"""Contracts: the JSON Schema of every version of every event, kept as files, and what must not change in one.

The log holds old events for ever, and during a deployment old code reads what new code records. So a version may gain
optional fields and nothing else; every other change is a new version, with an upcaster from the one before.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from domain.kernel.event import Catalogue, Event

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = Mapping[str, Any]
Stored = Mapping[tuple[str, int], Schema]
"""Contracts by event and version."""

_EXPLAINS = frozenset({"title", "description", "default"})


def file_name(event: str, version: int) -> str:
    """Name the file of a version's contract, or of a sample of it."""
    return f"{event}.v{version}.json"


def schema(event_type: type[Event]) -> Schema:
    """Give the JSON Schema of an event's present version, as JSON reads it."""
    found: dict[str, Any] = json.loads(json.dumps({"$schema": DIALECT, **msgspec.json.schema(event_type)}))
    return found


def document(event_type: type[Event]) -> str:
    """Give the text of its contract's file."""
    return json.dumps(schema(event_type), indent=2) + "\n"


def read(folder: Path) -> dict[tuple[str, int], Any]:
    """Read a folder of files with names as ``file_name`` gives them: contracts, or samples."""
    found = {}
    for path in sorted(folder.glob("*.v*.json")):
        event, _, version = path.stem.rpartition(".v")
        found[event, int(version)] = json.loads(path.read_text())
    return found


def problems(catalogue: Catalogue, stored: Stored) -> list[str]:
    """Say, a sentence each, what in the present events breaks a stored contract or leaves old events unreadable."""
    gone = sorted({event for event, _ in stored} - catalogue.types.keys())
    found = [f"{event} has a contract and no class: the log may hold such events, so keep it." for event in gone]
    for name, kind in sorted(catalogue.types.items()):
        newest = max((version for event, version in stored if event == name), default=0)
        if newest > kind.version:
            found.append(f"{name} was at version {newest} before and is at {kind.version}: versions only go up.")
        for version in range(1, kind.version):
            if (name, version) not in stored:
                found.append(f"{file_name(name, version)} is missing: the contract of an old version is kept for ever.")
            if (name, version) not in catalogue.upcasters:
                found.append(f"{name} has no upcaster from version {version} to {version + 1}.")
        if (name, kind.version) in stored:
            found.extend(differences(name, stored[name, kind.version], schema(kind)))
    return found


def differences(name: str, stored: Schema, present: Schema) -> list[str]:
    """Say, a sentence each, what is incompatible between two schemas of one version of an event."""
    return list(_differ(name, _resolve(stored, stored["$defs"]), _resolve(present, present["$defs"])))


def _resolve(node: Any, definitions: Schema) -> Any:
    """Put in place of each reference what it refers to; events hold no type that holds itself."""
    if isinstance(node, list):
        return [_resolve(part, definitions) for part in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _resolve(definitions[node["$ref"].rpartition("/")[2]], definitions)
    return {key: _resolve(part, definitions) for key, part in node.items() if not key.startswith("$")}


def _differ(where: str, stored: Any, present: Any) -> Iterator[str]:
    """Compare two parts. What is wider is as wrong as what is narrower: one of old and new code could not read it."""
    if isinstance(stored, dict) and isinstance(present, dict):
        old, new = ({key: part for key, part in side.items() if key not in _EXPLAINS} for side in (stored, present))
        if "properties" in old and "properties" in new:
            yield from _fields_differ(where, old, new)
        elif old.keys() == new.keys():
            for key in old:
                yield from _differ(where, old[key], new[key])
        else:
            yield _retyped(where, old, new)
    elif isinstance(stored, list) and isinstance(present, list) and len(stored) == len(present):
        for one, other in zip(stored, present, strict=True):
            yield from _differ(where, one, other)
    elif stored != present:
        yield _retyped(where, stored, present)


def _retyped(where: str, stored: Any, present: Any) -> str:
    return f"{where} was {json.dumps(stored)} and is {json.dumps(present)}: make that a new version."


def _fields_differ(where: str, stored: Schema, present: Schema) -> Iterator[str]:
    old, new = stored["properties"], present["properties"]
    needed_before, needed = set(stored.get("required", ())), set(present.get("required", ()))
    for field in sorted(old.keys() - new.keys()):
        yield f"{where}.{field} was removed: make that a new version."
    for field in sorted(needed - needed_before):
        how = "was optional and is required" if field in old else "is new and required"
        yield f"{where}.{field} {how}, which old events may lack: give it a default, or make that a new version."
    for field in [field for field in old if field in new]:
        meant, means = old[field].get("default"), new[field].get("default")
        if field not in needed | needed_before and meant != means:
            yield f"{where}.{field} left out meant {json.dumps(meant)} and means {json.dumps(means)}: keep the default."
        yield from _differ(f"{where}.{field}", old[field], new[field])
    rest = {"properties", "required"}
    yield from _differ(
        where, *({key: part for key, part in side.items() if key not in rest} for side in (stored, present))
    )
