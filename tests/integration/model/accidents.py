"""Accidents at fail points, inside one process: it dies there, loses the answer to its commit, or meets a twin."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy.exc import OperationalError

from domain.kernel.failpoint import FailPoint
from tests.integration.probe import KilledError

DEATHS = (
    "relay.marked",
    "relay.published",
    "relay.expanded",
    "relay.fanned-out",
    "relay.found-lost",
    "inside.handled",
    "inside.committed",
    "outside.claimed",
    "outside.called",
    "outside.answered",
    "chord.baked",
    "chord.plated",
)
LOST_ANSWERS = (
    "relay.expanded",
    "relay.fanned-out",
    "inside.handled",
    "inside.committed",
    "outside.answered",
    "chord.baked",
    "chord.plated",
)
MEETINGS = ("inside.handled", "outside.called")
ACCIDENTS = tuple(
    (point, what)
    for what, points in (("dies", DEATHS), ("loses", LOST_ANSWERS), ("meets", MEETINGS))
    for point in points
)


@dataclass
class Accidents:
    """At most one accident is about to happen; it happens once, to whoever comes to its point first."""

    point: str = ""
    what: str = ""
    meet: Callable[[], object] = field(default=lambda: None)
    """Works on the same message as whoever has come to the point, at the same time."""

    def arm(self, point: str, what: str) -> None:
        """Have something happen at a point: the process ``dies``, ``loses`` an answer or ``meets`` a twin."""
        self.point, self.what = point, what

    def strike(self, reached: FailPoint) -> None:
        """Let it happen, in the place of ``FailPoint.reach``."""
        if reached.name != self.point:
            return
        self.point = ""
        if self.what == "dies":
            raise KilledError(reached.name)
        if self.what == "meets":
            self.meet()
            return
        raise OperationalError("COMMIT", None, ConnectionResetError(), connection_invalidated=True)
