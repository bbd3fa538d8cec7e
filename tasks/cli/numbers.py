"""Numbers on the command line."""

import math
import re
from typing import Any

import click


class Finite(click.FloatRange):
    """A number in a range: no infinity, and no number that is none, which every range would let through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail("say a number such as 20.", param, ctx)
        return number


class Whole(click.IntRange):
    """A whole number in a range, in plain digits: Python would read 1_0 and ٣ too."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", str(value)):
            self.fail("say a whole number such as 20.", param, ctx)
        number: int = super().convert(value, param, ctx)
        return number
