"""From the oven to the pass: a chord whose header bakes a load's parts and whose body plates the load.

The chord is the timing; SQL is the join. Whatever the broker loses of it, a durable timer plates or bakes again.
"""

from functools import cache
from typing import Any

import structlog
from celery import Celery, chord, current_app
from kombu.exceptions import OperationalError
from sqlalchemy.exc import DBAPIError

from domain import kitchen
from domain.kernel import clock
from domain.kernel.failpoint import FailPoint
from domain.settings import settings
from tasks.bus import queues
from tasks.bus.broker import CeleryBroker
from tasks.bus.runner import LONGEST_COUNTDOWN
from tasks.database import database
from tasks.gateways.switch import mode

OVEN = "oven"
PASS = "pass"
QUEUES = (OVEN, PASS)

_BAKED = "baked"
_TEND_EVERY = 5
_FEW = 20
"""Messages that two busy queues hold at nearly every moment, and that are gone long before a load is looked for."""

_UNSENT = FailPoint("chord.unsent")
_SENT = FailPoint("chord.sent")
_BAKED_PART = FailPoint("chord.baked")
_PLATED = FailPoint("chord.plated")

logger = structlog.get_logger(__name__)


def start(load_id: str, parts: list[int], seconds: float) -> None:
    """Publish the chord that bakes these parts of a load for so many seconds and then plates it.

    With ``PIZZERIA_BUS=memory`` there is no Celery: it is baked and plated here.
    """
    if settings().bus == "memory":
        _start_here(load_id, parts)
        return
    tasks = current_app.tasks
    wait = min(seconds, LONGEST_COUNTDOWN) or None
    header = [
        tasks["bake"].s(load_id, part).set(queue=OVEN, countdown=wait, argsrepr=f"load {load_id}, part {part}")
        for part in parts
    ]
    _UNSENT.reach()
    chord(header)(tasks["plate"].si(load_id).set(queue=PASS, argsrepr=f"load {load_id}"))
    _SENT.reach()


def holds_countdowns() -> bool:
    """Tell whether a chord may be started before its load is due: its messages then wait at the broker."""
    return settings().bus == "celery" and queues.holds_countdowns(settings().broker())


@cache
def _broker() -> CeleryBroker:
    return CeleryBroker(current_app)


def is_behind() -> bool:
    """Tell whether a load may still be out only because of the messages before it; so it may if the broker is away."""
    if settings().bus == "memory":
        return False
    try:
        return sum(_broker().depths(QUEUES).values()) > _FEW
    except OperationalError:
        return True


def _start_here(load_id: str, parts: list[int]) -> None:
    for part in parts:
        _bake_now(load_id, part)
    plate(load_id)


def bake(task: Any, load_id: str, part: int) -> str:
    """Bake one part of a load: comes back by Celery's retry until it is due, then marks its pizzas."""
    with database().read() as connection:
        load = kitchen.read_load(connection, str(load_id))
    if load is None:
        logger.error("message_refused", handler="bake")
        return _BAKED
    seconds = (load.due_at - clock.now()).total_seconds()
    if seconds > 0:
        raise task.retry(countdown=min(seconds, LONGEST_COUNTDOWN))
    _bake_now(load.id, int(part))
    return _BAKED


def _bake_now(load_id: str, part: int) -> None:
    fault, _, pizza = mode("oven", settings().oven).partition(":")
    burnt = pizza or "*" if fault == "faulty" else None
    with database().begin(load_id) as work:
        kitchen.bake(work, load_id, part, burnt)
    _BAKED_PART.reach()


def plate(load_id: str) -> None:
    """Take a baked load to the pass."""
    with database().begin(str(load_id)) as work:
        kitchen.Kitchen(settings()).plate(work, str(load_id))
    _PLATED.reach()


def tend() -> None:
    """Look whether something can go into the oven: the kitchen's five-second timer."""
    with database().begin("tend") as work:
        kitchen.Kitchen(settings()).fire(work)


def add_tasks(celery: Celery) -> None:
    """Give a Celery application the workflow's tasks."""
    again = {
        "autoretry_for": (DBAPIError,),
        "retry_backoff": True,
        "retry_backoff_max": 20 if holds_countdowns() else 2,
        "max_retries": None,
        "typing": True,
    }
    celery.task(name="bake", bind=True, ignore_result=False, **again)(bake)
    celery.task(name="plate", **again)(plate)
    celery.task(name="tend")(tend)


def beat(celery: Celery, broker: CeleryBroker) -> None:
    """Send the kitchen's timer, unless one waits there already because nobody works at the pass."""
    if not broker.depths([PASS])[PASS]:
        with broker.producer() as producer:
            celery.tasks["tend"].apply_async(queue=PASS, expires=_TEND_EVERY, producer=producer)
