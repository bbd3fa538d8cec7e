"""`pizzeria simulate --day`: plays a Friday with all that goes wrong, and compares the figures with what was placed."""

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec
from rich.console import Console

from domain import sales
from domain.sales import Days, Hour
from domain.settings import settings
from tasks.cli import CannotRun, check, report
from tasks.cli.trial import conduct, no_menu, open_shop, show
from tasks.simulation.agenda import Agenda
from tasks.simulation.course import Course
from tasks.simulation.day import Day, plan, strains
from tasks.simulation.faults import Faults
from tasks.simulation.ledger import PATIENCE, ended, patiently, placed_at
from tasks.simulation.placing import Placed, Placing
from tasks.simulation.report import Report
from tasks.simulation.shop import Shop
from tasks.simulation.takings import Clock, Span, by_figures, by_journal, differences
from tasks.simulation.telling import Teller

_QUIET = 120.0
"""Seconds for which the shop may go on working after the last order, before the invariants are tried."""


@dataclass(frozen=True, slots=True)
class _Played:
    """What came of a day."""

    course: Course
    result: Report
    checked: check.Result
    figures: Sequence[tuple[Span, sales.Report]]
    """What the shop's figures say of all of the day, and then of each of its hours."""
    problems: Sequence[str]

    @property
    def fine(self) -> bool:
        """Tell whether nothing is wrong."""
        return self.checked.holds and not (self.problems or self.result.lost or self.result.duplicated)


def play(shop: Shop, number: int, seed: int, speed: float, *, as_json: bool) -> bool:
    """Play a day, and tell what came of it; gives whether nothing was lost and all sums and invariants hold."""
    day = _plan(shop, number, seed)
    course = Course(day, shop, speed)
    with Teller(silent=as_json) as teller, _ended_like_ctrl_c():
        for problem in strains(day, speed, settings()):
            teller.say(problem)
        played = _play(shop, course, Clock(_open(shop, course.orders[0]), day.guests[0].at, speed), teller)
    if as_json:
        click.echo(json.dumps(played.result.as_json() | {"day": {"seed": seed, "speed": speed} | _json(played)}))
    else:
        _tell(played)
    for problem in played.problems:
        click.echo(problem, err=True)
    return played.fine


def _plan(shop: Shop, number: int, seed: int) -> Day:
    if settings().payment == "stripe":
        raise CannotRun("A day pays with the sandbox's cards: play it on a shop with PIZZERIA_PAYMENT=sandbox.")
    menu = open_shop(shop)
    try:
        return plan(menu, number, seed)
    except (ValueError, KeyError, TypeError) as error:
        raise CannotRun(no_menu(shop, error)) from None


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM undo what was brought about, as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _open(shop: Shop, first: Placed) -> datetime:
    """Place the first order; gives when that was, by the clock of the shop, which must be the one with our database."""
    placed_at("")  # raises where there is no database to look into
    Placing(shop, lambda _: None).run([first])
    if first.id is None:
        raise CannotRun(f"The first order was not taken: {first.problem or 'what it asks for is sold out'}.")
    order_id = first.id
    began = patiently(lambda: placed_at(order_id))
    if began is None:
        raise CannotRun(
            f"{shop.url} takes orders for another database than PIZZERIA_HOME or PIZZERIA_DATABASE_URL name here:"
            " a day wants the settings of the shop that it is played in."
        )
    return began


def _play(shop: Shop, course: Course, clock: Clock, teller: Teller) -> _Played:
    started = time.monotonic()

    def now() -> str:
        return clock.shows(time.monotonic() - started)

    def tick() -> None:
        done = ended(clock.began)
        teller.call(f"{now()}, {done.get('delivered', 0)} delivered, {done.get('cancelled', 0)} cancelled. Placed")

    with Faults(lambda line: teller.say(f"{now()}  {line}")) as faults:
        beside = _beside(course, faults, clock, tick)
        result, following = conduct(shop, course.orders, teller, wait=True, beside=beside, patience=PATIENCE)
    teller.say("Waiting until all is quiet, and then trying every invariant.")
    checked = patiently(lambda: check.examine(settings(), _QUIET, shown=False))
    entries = course.journal(following.seen)
    spans = clock.spans(max((entry.placed_at for entry in entries), default=clock.began))
    figures = patiently(lambda: _figures(spans))
    problems = [*course.problems(following.seen), *faults.left]
    for span, found in figures:
        problems += differences(span, by_journal(entries, span), by_figures(found))
    return _Played(course, result, checked, figures, problems)


@contextmanager
def _beside(course: Course, faults: Faults, clock: Clock, tick: Callable[[], None]) -> Iterator[None]:
    """Let everything else of the day go on; no customer who waits for an answer keeps the oven waiting."""
    with Agenda(course.changes(faults, clock.began), tick), Agenda(course.cancellations()):
        yield


def _figures(spans: Sequence[Span]) -> list[tuple[Span, sales.Report]]:
    from tasks.database import database

    shop = settings()
    zone = ZoneInfo(shop.timezone)
    days = Days(*(at.astimezone(zone).date() for at in (spans[0].begin, spans[0].end)))
    with database().view() as connection:
        return [
            (span, sales.report(connection, days, shop.timezone, shop.currency, (span.begin, span.end)))
            for span in spans
        ]


def _json(played: _Played) -> dict[str, Any]:
    (_, whole), *hours = played.figures
    answers = Counter(regret.answer for _, regret in played.course.regrets)
    return {
        "figures": by_figures(whole).as_json(),
        "hours": [{"hour": span.name} | by_figures(found).as_json() for span, found in hours],
        "cancelled_by_customers": answers["cancelled"],
        "cancelled_too_late": answers["too late"],
        "sold_out": sum(order.sold_out for order in played.course.orders),
        "problems": played.problems,
        "invariants": {
            "held": played.checked.holds,
            "tried": sum(line.skipped is None for line in played.checked.lines),
            "violated": [line.title for line in played.checked.lines if line.violations],
        },
    }


def _tell(played: _Played) -> None:
    (_, whole), *hours = played.figures
    by_the_played_clock = [
        Hour(*msgspec.structs.astuple(found.totals), hour=int(span.name[:2])) for span, found in hours
    ]
    report.Printed(msgspec.structs.replace(whole, days=[], hours=by_the_played_clock)).show()
    more = _json(played)
    click.echo(
        f"\n{more['cancelled_by_customers']} customers cancelled in time, {more['cancelled_too_late']} too late;"
        f" {more['sold_out']} were told that something is sold out.\n"
    )
    show(played.result)
    click.echo()
    check.show(played.checked, Console(soft_wrap=True))
    if played.fine:
        click.echo("The shop's figures are what was placed, to the cent, and every invariant holds.")
