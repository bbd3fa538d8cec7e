"""The faults: what each kind does to a house, and for how long. All of them are real: signals, sockets, commands."""

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos import messages, poison
from tests.chaos.client import Body, Client
from tests.chaos.house import POSTGRES, REDIS, WEB, House
from tests.chaos.outside import Mailbox, Outside
from tests.chaos.plan import Fault, Kind, Visit
from tests.fakes.twilio import FakeTwilio

_POINTS = (
    "web.changed kill",
    "web.committed kill",
    "web.committed lose",
    "relay.marked kill",
    "relay.published kill",
    "relay.expanded kill",
    "relay.fanned-out kill",
    "inside.handled kill",
    "inside.handled kill-group",
    "inside.committed kill",
    "inside.committed lose",
    "outside.claimed kill",
    "outside.called kill-group",
    "outside.answered kill",
    "chord.unsent kill",
    "chord.sent kill-group",
    "chord.baked kill",
    "chord.plated kill-group",
)
_OF_THE_WORKER = {"kill child", "kill main", "kill group", "stop worker for long"}
_OF_THE_DATABASE = {"cut", "half-open"}


@dataclass(frozen=True)
class Scene:
    """Where faults strike. ``body`` is an order's, for whoever needs one more."""

    house: House
    client: Client
    outside: Outside
    body: Body


def for_all(workers: Sequence[str]) -> list[Kind]:
    """Give the kinds that strike any house; ``workers`` are those that may be killed."""
    names = tuple(workers)
    return [
        Kind("kill child", names),
        Kind("kill main", names),
        Kind("kill group", names),
        Kind("kill web"),
        Kind("kill redis"),
        Kind("kill postgres"),
        Kind("stop worker", names, (1, 4)),
        Kind("stop web", lasts=(0.5, 3)),
        Kind("stop redis", lasts=(1, 6)),
        Kind("flush redis"),
        Kind("cut", (POSTGRES, REDIS)),
        Kind("half-open", (POSTGRES, REDIS), (1, 6)),
        Kind("double messages", names, (0.5, 1.5)),
        Kind("everything at once", every=4),
    ]


def for_pizzeria(workers: Sequence[str], handlers: Sequence[str]) -> list[Kind]:
    """Give the kinds that strike the pizzeria; ``handlers`` are the workers that have deliveries."""
    return [
        *for_all(workers),
        Kind("kill relay"),
        Kind("stop relay", lasts=(1, 4)),
        Kind("stop worker for long", tuple(workers), (20, 40), every=5),
        Kind("old messages", tuple(handlers)),
        Kind("strike at point", _POINTS, (0.5, 2)),
        Kind("sms service", ("busy", "down", "mute"), (1, 5)),
        Kind("mail server", ("busy", "mute"), (1, 5)),
        Kind("poison", every=0),
    ]


def can_repeat_a_call(fault: Fault, worker: str) -> bool:
    """Tell whether a fault can come between a worker's call outside and the moment its answer is written down.

    Then whoever called dies, stands still until the claim is over, or has no database to write to. Neither the broker
    nor the relay can: one message more finds the claim, or the answer. Of the points, one lies before the calls of
    a message and one behind their answers.
    """
    if fault.kind in _OF_THE_WORKER:
        return fault.target == worker
    if fault.kind in _OF_THE_DATABASE:
        return fault.target == POSTGRES
    return fault.kind in {"kill postgres", "everything at once"} or fault.target.startswith("outside.called")


def strike(scene: Scene, fault: Fault) -> None:
    """Let it happen; returns when it is over."""
    _STRIKES[fault.kind](scene, fault)


def _kill_child(scene: Scene, fault: Fault) -> None:
    scene.house.signal(scene.house.children(fault.target), signal.SIGKILL)


def _kill_main(scene: Scene, fault: Fault) -> None:
    pids = scene.house.pids(fault.target)
    scene.house.signal(pids[:1], signal.SIGKILL)


def _kill(name: str | None = None) -> Callable[[Scene, Fault], None]:
    def kill(scene: Scene, fault: Fault) -> None:
        scene.house.signal(scene.house.pids(name or fault.target), signal.SIGKILL)

    return kill


def _kill_everything(scene: Scene, _: Fault) -> None:
    names = random.sample(sorted(scene.house.words), len(scene.house.words))
    scene.house.signal([pid for name in names for pid in scene.house.pids(name)], signal.SIGKILL)


def _stop(name: str | None = None) -> Callable[[Scene, Fault], None]:
    def stop(scene: Scene, fault: Fault) -> None:
        pids = scene.house.pids(name or fault.target)
        scene.house.signal(pids, signal.SIGSTOP)
        time.sleep(fault.seconds)
        scene.house.signal(pids, signal.SIGCONT)

    return stop


def _flush(scene: Scene, _: Fault) -> None:
    scene.house.with_redis(lambda broker: broker.flushall())


def _cut(scene: Scene, fault: Fault) -> None:
    scene.house.proxies[fault.target].cut()


def _half_open(scene: Scene, fault: Fault) -> None:
    scene.house.proxies[fault.target].hang()
    time.sleep(fault.seconds)
    scene.house.proxies[fault.target].resume()


def _double(scene: Scene, fault: Fault) -> None:
    """Let messages gather before a worker that stands still, and put each back three times, in any order."""
    pids = scene.house.pids(fault.target)
    scene.house.signal(pids, signal.SIGSTOP)
    time.sleep(fault.seconds)
    scene.house.with_redis(lambda broker: messages.multiply(broker, fault.target))
    scene.house.signal(pids, signal.SIGCONT)


def _send_old(scene: Scene, fault: Fault) -> None:
    rows = scene.house.rows(
        "SELECT position FROM deliveries WHERE handler = %s AND state = 'done' ORDER BY random() LIMIT 300",
        fault.target,
    )
    messages.send(scene.house.broker_url, fault.target, [position for (position,) in rows])


def _strike_at_point(scene: Scene, fault: Fault) -> None:
    """Arm a fail point for the first process that comes by; if none does, nothing happened."""
    point, _, what = fault.target.partition(" ")
    draft, armed = scene.house.points / f"{point}.draft", scene.house.points / point
    draft.write_text(what)
    os.rename(draft, armed)
    deadline = time.monotonic() + fault.seconds
    while armed.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    armed.unlink(missing_ok=True)


def _fails(service: Callable[[Outside], FakeTwilio | Mailbox]) -> Callable[[Scene, Fault], None]:
    def fail(scene: Scene, fault: Fault) -> None:
        failing = service(scene.outside)
        failing.mood = fault.target
        time.sleep(fault.seconds)
        failing.mood = "well"

    return fail


def _poison(scene: Scene, fault: Fault) -> None:
    poisoned = scene.body | {"customer": scene.body["customer"] | {"name": poison.POISONER}}
    scene.client.place(Visit(fault.at, "poisoned"), poisoned)


_STRIKES: dict[str, Callable[[Scene, Fault], None]] = {
    "kill child": _kill_child,
    "kill main": _kill_main,
    "kill group": _kill(),
    "kill web": _kill(WEB),
    "kill relay": _kill("relay"),
    "kill redis": _kill(REDIS),
    "kill postgres": _kill(POSTGRES),
    "stop worker": _stop(),
    "stop worker for long": _stop(),
    "stop web": _stop(WEB),
    "stop relay": _stop("relay"),
    "stop redis": _stop(REDIS),
    "flush redis": _flush,
    "cut": _cut,
    "half-open": _half_open,
    "double messages": _double,
    "old messages": _send_old,
    "strike at point": _strike_at_point,
    "sms service": _fails(lambda outside: outside.sms),
    "mail server": _fails(lambda outside: outside.mail),
    "poison": _poison,
    "everything at once": _kill_everything,
}
