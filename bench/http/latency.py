"""How long an order takes to the door: with and without many who watch, and on an idle shop."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import text

from bench.contest import ours, place_backlog
from bench.http.placing import WEB_WORKERS, load, serve
from bench.stage import Say, Stage, stage
from tasks.cli.embedded import free_port

IDLE_ORDERS, IDLE_RATE = 50, 1.0
WATCH_ORDERS, WATCH_RATE = 200, 20.0

_TO_THE_DOOR = text("""
SELECT round(1000 * percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds)::numeric, 1)::float AS p50,
    round(1000 * percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds)::numeric, 1)::float AS p95,
    round(1000 * max(seconds)::numeric, 1)::float AS longest, count(*) AS delivered
FROM (SELECT extract(epoch FROM delivered_at - placed_at) AS seconds FROM orders WHERE placed_at >= :since) o
""")


def idle(say: Say, number: int = IDLE_ORDERS) -> dict[str, Any]:
    """Place orders a second apart; gives placing and placed → delivered in milliseconds."""
    with stage(say, port=free_port(), web_workers=WEB_WORKERS) as here:
        _open(here)
        _trip(here, 5, IDLE_RATE)  # every process has connected and imported
        say(f"Idle: {number} orders, {IDLE_RATE:g} a second")
        return _trip(here, number, IDLE_RATE)


def watched(streams: int, rounds: int, say: Say, number: int = WATCH_ORDERS) -> dict[str, Any]:
    """Place orders at a rate while nobody watches and while many do, in turn; gives the medians and what it costs."""
    found: dict[str, list[dict[str, Any]]] = {"unwatched": [], "watched": []}
    with stage(say, port=free_port(), web_workers=WEB_WORKERS) as here:
        orders = _orders_that_wait(here, streams)
        _open(here)
        _trip(here, number, WATCH_RATE)
        for turn in range(1, rounds + 1):
            for name, figures in found.items():
                say(f"Round {turn} of {rounds}, {WATCH_RATE:g} orders a second, {name}")
                watching = (f"--watch={orders}",) if name == "watched" else ()
                figures.append(_trip(here, number, WATCH_RATE, *watching))
    medians = {name: _medians(figures) for name, figures in found.items()}
    slower = {name: round(medians["watched"][name] / before - 1, 3) for name, before in medians["unwatched"].items()}
    return {"streams": streams, "rounds": rounds, **medians, "slower_by": slower}


def _open(here: Stage) -> None:
    here.start(*ours(here))
    serve(here, here.pizzeria("web", "web"))


def _orders_that_wait(here: Stage, number: int) -> Path:
    """Place orders that nobody will ever work on, and give a file with their ids: their streams stay open."""
    place_backlog(here, "ours", number)
    with here.engine.begin() as connection:
        connection.execute(text("DELETE FROM outbox"))
        ids: Sequence[str] = connection.execute(text("SELECT id FROM orders")).scalars().all()
    path = here.home / "watched"
    path.write_text("\n".join(ids))
    return path


def _trip(here: Stage, number: int, rate: float, *words: str) -> dict[str, Any]:
    since: datetime = here.value("SELECT now()")
    placing = load(here, f"--rate={rate}", f"--orders={number}", *words)
    open_orders = "SELECT count(*) FROM orders WHERE placed_at >= :since AND status <> 'delivered'"
    here.wait(lambda: here.value(open_orders, since=since) == 0, 120, "Every order is at the door")
    with here.engine.connect() as connection:
        door = connection.execute(_TO_THE_DOOR, {"since": since}).one()
    if placing["refused"] or door.delivered != number:
        raise SystemExit(f"{placing['refused']} orders were refused, {door.delivered} of {number} are there.")
    return {
        "placing_p50": placing["p50"],
        "placing_p95": placing["p95"],
        "delivery_p50": door.p50,
        "delivery_p95": door.p95,
        "delivery_longest": door.longest,
    }


def _medians(rounds: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {name: round(median(figures[name] for figures in rounds), 2) for name in rounds[0]}
