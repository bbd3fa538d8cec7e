"""The oven: publishes the chord for a load, and looks after it until the load is out."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from domain import kitchen
from domain.events import OvenLoadFired
from domain.kernel import clock
from domain.kernel.unit_of_work import UnitOfWork
from domain.settings import settings
from tasks import workflow
from tasks.bus.registry import handles

GRACE = 8
"""Seconds after its due time that a load is given until its chord is taken for lost."""
TOGETHER = 4
"""Seconds within which loads are looked after together, so that one message does for all of them."""


@handles(OvenLoadFired)
def bake_loads(fired: Sequence[OvenLoadFired], shop: UnitOfWork) -> None:
    """Start each load's chord, where countdowns block a worker only when it is due; see later that none was lost."""
    now = clock.now()
    for load in fired:
        progress = kitchen.read_load(shop.connection, load.load_id)
        if progress is None or progress.plated_at is not None:
            continue
        seconds = (load.due_at - now).total_seconds()
        if seconds > 0 and not workflow.holds_countdowns():
            shop.postpone(load, load.due_at)
            continue
        if seconds > -GRACE or not workflow.is_behind():  # a chord that merely waits in its queue is not lost
            parts = kitchen.unbaked_parts(shop.connection, load.load_id)
            shop.after_commit.append(partial(workflow.start, load.load_id, parts, max(0.0, seconds)))
        shop.postpone(load, look_again(max(load.due_at, now)))


def look_again(due: datetime) -> datetime:
    """Say when a load that is due then must be out."""
    if settings().bus == "memory":  # no chord: the timer itself is what bakes
        return due
    return datetime.fromtimestamp(math.ceil((due.timestamp() + GRACE) / TOGETHER) * TOGETHER, UTC)
