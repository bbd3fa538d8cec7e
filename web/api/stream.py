"""An order's steps as server-sent events."""

import json
import queue
from collections.abc import Iterator, Sequence

from flask import Response, request

from domain import orders
from domain.orders import TERMINAL
from web.api import answers, blueprint
from web.counter import counter
from web.live import Step, Watch, steps_since

HEARTBEAT = 15
"""Seconds between signs of life, so that proxies keep the connection and we notice who has gone."""

ASK_AGAIN = 5
"""Seconds after which a browser comes back for news where too many watch."""


@blueprint.get("/api/orders/<order_id:order_id>/stream")
def stream(order_id: str) -> Response:
    """Tell of the order's steps as they happen, from now on or after ``Last-Event-ID``; ends with its last one."""
    seen = _last_event_id()
    here = counter()
    with here.database.read() as connection:
        status = orders.get(connection, order_id).status
        steps = steps_since(connection, {order_id: seen or 0})
    if status in TERMINAL and not steps:
        return Response(status=204)  # tells a browser to stop asking
    known = steps[-1:] if seen is None else steps
    answer = Response(_events(here.watch, order_id, known, seen or 0), mimetype="text/event-stream")
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def _last_event_id() -> int | None:
    given = request.headers.get("Last-Event-ID", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None


def _events(watch: Watch, order_id: str, known: Sequence[Step], last: int) -> Iterator[str]:
    """Write what is known, then what happens; no database connection is held while waiting."""
    for step in known:
        last = step.sequence
        yield _event(step)
        if step.status in TERMINAL:
            return
    if watch.is_full:  # nobody who watches is to keep others from ordering
        yield f"retry: {ASK_AGAIN * 1000}\n\n"
        return
    with watch.watching(order_id, last) as steps:
        while True:
            try:
                step = steps.get(timeout=HEARTBEAT)
            except queue.Empty:
                yield ": still here\n\n"
                continue
            if step.sequence > last:
                last = step.sequence
                yield _event(step)
            if step.status in TERMINAL:
                return


def _event(step: Step) -> str:
    data = {
        "id": step.order_id,
        "status": step.status,
        "sequence": step.sequence,
        **{name: answers.moment(at) for name, at in step.times.items()},
        "cancelled_reason": step.reason,
    }
    return f"event: status\nid: {step.sequence}\ndata: {json.dumps(data)}\n\n"
