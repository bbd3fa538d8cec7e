"""What to do when a handler fails."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

_RANDOM = random.SystemRandom()  # no fork has the same numbers as another


def spread(longest: float, part: float = 1) -> float:
    """Give a pause with a random part (0 to 1) taken off, so that what waits together does not come back together."""
    return longest * (1 - part * _RANDOM.random())


class Permanent(Exception):
    """Trying again cannot help: park the delivery."""


class Wait(Exception):
    """This cannot be done yet, and nobody is to blame: deliver it again later, uncounted."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        super().__init__(reason or f"not before {seconds:g} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when a failed delivery is tried again.

    After attempt n the pause is ``min(cap, first × 2ⁿ⁻¹)`` seconds, of which a random part up to ``jitter`` (0 to 1) is
    taken off, so that what failed together does not come back together. After ``times`` retries it is parked.
    """

    times: int = 8
    first: float = 1
    cap: float = 30
    jitter: float = 0.3

    def pause(self, attempt: int) -> float | None:
        """Give the seconds to wait after this attempt (the first is 1), or None to give up."""
        if attempt > self.times:
            return None
        longest = min(self.cap, self.first * 2 ** (attempt - 1))
        return spread(longest, self.jitter)

    def overridden(self, values: Mapping[str, float]) -> "Retry":
        """Give this policy with some of its numbers changed."""
        return Retry(
            times=int(values.get("times", self.times)),
            first=values.get("first", self.first),
            cap=values.get("cap", self.cap),
            jitter=values.get("jitter", self.jitter),
        )
