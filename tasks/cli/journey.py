"""`pizzeria journey`: what happened to an order, event by event, with every delivery and message."""

from collections.abc import Sequence
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from domain import messages
from domain.events import catalogue
from domain.messages import MessageRow
from domain.orders import code_of
from tasks.bus import journey
from tasks.bus.journey import Leg, Step
from tasks.cli.events import about_order, as_data

_STYLES = {"done": "green", "pending": "yellow", "parked": "bold red", "discarded": "dim"}


@click.command()
@click.argument("order")
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def command(order: str, as_json: bool) -> None:
    """Show what happened to ORDER: its id, or its code of six characters."""
    from tasks.database import database

    with database().read() as connection:
        about = about_order(connection, order)
        steps = journey.journey(connection, catalogue, about)
        sent = messages.recent(connection, order_id=about.value, limit=500)
    if as_json:
        click.echo(_json(about.value, steps, sent))
    else:
        _show(about.value, steps, sent)


def _json(order_id: str, steps: Sequence[Step], sent: Sequence[MessageRow]) -> str:
    whole = {
        "order_id": order_id,
        "events": [as_data(step) | {"deliveries": step.legs} for step in steps],
        "messages": sent[::-1],
    }
    return msgspec.json.format(msgspec.json.encode(whole)).decode()


def _show(order_id: str, steps: Sequence[Step], sent: Sequence[MessageRow]) -> None:
    """Draw a timeline: seconds since the first event, then each delivery below its event."""
    first = steps[0].recorded_at if steps else None
    tree = Tree(Text(f"Order {code_of(order_id)}  {order_id}", style="bold"))
    by_event: dict[str, list[MessageRow]] = {}
    for message in sent[::-1]:
        by_event.setdefault(message.key.partition(":")[0], []).append(message)
    for step in steps:
        after = (step.recorded_at - first).total_seconds() if first else 0.0
        branch = tree.add(_line(f"{after:9.3f} s  ", (step.type, "bold"), f"  event {step.position}, {step.stream}"))
        for leg in step.legs:
            branch.add(_leg(leg))
        for message in by_event.pop(step.id, []):
            branch.add(_message(message))
    for left in by_event.values():
        for message in left:
            tree.add(_message(message))
    Console().print(tree)
    if first:
        Console().print(f"Times count from {first:%Y-%m-%d %H:%M:%S.%f} UTC.", highlight=False)


def _line(*parts: Any) -> Text:
    return Text.assemble(*parts)


def _leg(leg: Leg) -> Text:
    tried = f", failed {leg.attempts} times" if leg.attempts else ""
    times = ""
    if leg.wait_seconds is not None:
        times = f"  waited {leg.wait_seconds:.3f} s"
    if leg.run_seconds is not None and leg.state != "pending":
        times += f", ran {leg.run_seconds:.3f} s"
    if leg.state == "pending":
        times += f"  {'sent' if leg.sent_at else 'due'} {(leg.sent_at or leg.not_before):%H:%M:%S}"
    line = _line(f"{leg.handler:<12}", (leg.state, _STYLES[leg.state]), times, tried)
    if leg.error and (leg.attempts or leg.state in {"parked", "discarded"}):
        line.append(f"\n{leg.error[:300]}", style="red")
    return line


def _message(message: MessageRow) -> Text:
    to = f"{message.channel} to {message.recipient}"
    answer = f", answered “{message.answer}”" if message.answer else ""
    return _line(("✉ ", "cyan"), f"{to} about {message.about}: ", (message.state, "cyan"), answer)
