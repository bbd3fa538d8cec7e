"""The client's own journal: what it set out to do is written down before it is sent, what it was told afterwards."""

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Journal:
    """A file of JSON lines that only grows. Many threads may write."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self._lock = threading.Lock()

    def write(self, what: str, key: str, **more: Any) -> None:
        with self._lock:
            self._file.write(json.dumps({"at": time.time(), "what": what, "key": key, **more}) + "\n")
            self._file.flush()

    def close(self) -> None:
        self._file.close()


@dataclass(slots=True)
class Attempt:
    """All that the client knows of one order. ``ids`` are those it was acknowledged with: one, if all is well."""

    key: str
    acknowledged_at: float | None = None
    ids: list[str] = field(default_factory=list)
    cancelled: bool = False
    refused: str | None = None


def read(path: Path) -> dict[str, Attempt]:
    """Read a journal; gives the attempts by their idempotency keys."""
    attempts: dict[str, Attempt] = {}
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        attempt = attempts.setdefault(entry["key"], Attempt(entry["key"]))
        match entry["what"]:
            case "acknowledged":
                attempt.acknowledged_at = attempt.acknowledged_at or entry["at"]
                if entry["id"] not in attempt.ids:
                    attempt.ids.append(entry["id"])
            case "cancelled":
                attempt.cancelled = True
            case "refused":
                attempt.refused = entry["answer"]
    return attempts
