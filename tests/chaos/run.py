"""One run from the first order to the report."""

import time
from collections.abc import Callable, Mapping

from tasks.simulation.baskets import Baskets
from tests.chaos import faults, journal, report
from tests.chaos.client import Client
from tests.chaos.faults import Scene
from tests.chaos.house import House
from tests.chaos.journal import Journal
from tests.chaos.outside import WORKERS, Outside
from tests.chaos.plan import Plan
from tests.chaos.report import Report, Struck

INSIST = 60.0
"""Seconds for which a customer insists on an answer."""

Say = Callable[[str], None]


def run(house: House, outside: Outside, plan: Plan, patience: float, say: Say) -> Report:
    """Run a plan against a house that is open. ``patience``: seconds without progress until the rest is lost."""
    path = house.folder / "journal"
    writing = Journal(path)
    with Client(house.url, writing, INSIST) as client:
        baskets = Baskets(client.shop.menu(INSIST), plan.seed)
        scene = Scene(house, client, outside, baskets.next())
        began = time.monotonic()
        client.start(plan.visits, [baskets.next() for _ in plan.visits])
        struck = _strike_all(scene, plan, began, say)
        client.finish()
        say("Everybody has an answer, or has given up.")
        recovered = house.wait_until_finished(patience, lambda left: say(f"{left} still to be done"))
        parked = house.mend()
        say("Trying the invariants.")
        violated = house.check()
        attempts = journal.read(path)
        read = client.look([order_id for attempt in attempts.values() for order_id in attempt.ids])
    writing.close()
    return _judge(house, outside, plan, attempts, read, struck, recovered, parked, violated)


def _strike_all(scene: Scene, plan: Plan, began: float, say: Say) -> list[Struck]:
    struck = []
    for fault in plan.faults:
        time.sleep(max(0.0, began + fault.at - time.monotonic()))
        at = time.time()
        faults.strike(scene, fault)
        struck.append(Struck(fault, at, time.time()))
        say(str(fault))
    return struck


def _judge(
    house: House,
    outside: Outside,
    plan: Plan,
    attempts: Mapping[str, journal.Attempt],
    read: Mapping[str, str],
    struck: list[Struck],
    recovered: bool,
    parked: Mapping[str, int],
    violated: list[str],
) -> Report:
    orders = house.orders()
    found = report.compare(attempts, orders, read)
    journals = {service: report.by_key(calls) for service, calls in outside.calls().items()}
    house.look({key for calls in journals.values() for key in calls}, found)
    for service, calls in journals.items():
        found.duplicated.extend(report.unexplained(calls, WORKERS[service], struck))
    return Report(
        house=house.name,
        seed=plan.seed,
        attempted=len(attempts),
        acknowledged=sum(bool(attempt.ids) for attempt in attempts.values()),
        delivered=sum(status == "delivered" for status in read.values()),
        cancelled=sum(status == "cancelled" for status in read.values()),
        refused=sum(attempt.refused is not None for attempt in attempts.values()),
        lost=found.lost,
        unexpected=found.unexpected,
        duplicated=found.duplicated,
        recovered=recovered,
        violated=violated,
        parked=parked,
        outside={service: report.repetitions(calls) for service, calls in journals.items()},
        faults=report.recovery(struck, orders),
    )
