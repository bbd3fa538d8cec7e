"""The one clock. All times in the pizzeria are UTC and come from here, so that tests can move it."""

from datetime import UTC, datetime, timedelta

_moved = timedelta()


def now() -> datetime:
    """Give the present time, in UTC."""
    return datetime.now(UTC) + _moved


def move(by: timedelta) -> None:
    """Move this process's clock; for tests."""
    global _moved
    _moved += by


def reset() -> None:
    """Put this process's clock right again; for tests."""
    global _moved
    _moved = timedelta()
