"""Bar charts drawn on the server: they need no script, and the table beside each says the same to everybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

HEIGHT = 100.0
STEP = 10.0
_BAR = 8.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from the bottom of the chart, in the chart's own units."""

    x: float
    y: float
    width: float
    height: float
    highest: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars side by side, the highest as high as the chart; ``peak`` is its place in what was given."""

    width: float
    bars: Sequence[Bar]
    peak: int


def bars(values: Sequence[Decimal]) -> Chart | None:
    """Draw amounts that are not negative; None if there is nothing to see."""
    highest = max(values, default=Decimal(0))
    if highest <= 0:
        return None
    peak = list(values).index(highest)
    drawn = []
    for place, value in enumerate(values):
        height = round(float(value / highest) * HEIGHT, 2)
        x = place * STEP + (STEP - _BAR) / 2
        drawn.append(Bar(x, round(HEIGHT - height, 2), _BAR, height, place == peak))
    return Chart(len(drawn) * STEP, drawn, peak)
