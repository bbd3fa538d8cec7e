"""How every example ends: all is mended, all is brought to its end, and then every invariant must hold."""

from sqlalchemy import Connection

from domain import history, kitchen, orders
from domain import invariants as pizzeria
from domain.kernel.invariant import attempt
from domain.kitchen import Kitchen
from domain.settings import settings
from tasks.bus import dead
from tasks.bus import invariants as bus
from tasks.bus.dead import Chosen
from tests.integration.model.world import World

ROUNDS = 60
_FOR_EVER = 1e6


def settle(world: World) -> None:
    """Mend everything, then let relays, workers and time go on until nothing is left to be done."""
    world.accidents.point = ""
    world.broker.away = False
    world.broken.clear()
    for gateway in ("sms", "email", "oven"):
        world.switch(gateway, None)
    for _ in range(ROUNDS):
        if _is_quiet(world):
            return
        dead.retry(world.shop.database, Chosen(), "the model")
        _send_back(world)
        world.go_round()
        world.tend()
        world.wait(31)
    raise AssertionError(f"It does not get quiet: {_pending(world)}")


def _send_back(world: World) -> None:
    with world.shop.database.read() as connection:
        given_up = kitchen.failed_orders(connection)
    for order_id in given_up:
        with world.shop.database.begin("staff") as work:
            Kitchen(settings()).send_back(work, order_id)


def _pending(world: World) -> bus.Pending:
    with world.shop.database.read() as connection:
        return bus.pending(connection, _FOR_EVER)


def _is_quiet(world: World) -> bool:
    pending = _pending(world)
    with world.shop.database.read() as connection:
        given_up = kitchen.failed_orders(connection)
    return pending.quiet and not pending.parked and not given_up


def check(world: World, placed: list[str], cancelled: set[str]) -> None:
    """Try every invariant, and what only the model knows: what was promised to whom, and whom it called how often."""
    with world.shop.database.read() as connection:
        for invariant in (*bus.INVARIANTS, *pizzeria.invariants(settings())):
            finding = attempt(connection, invariant)
            assert not finding.violations, f"{invariant.title}: {finding.examples}"
        assert connection.exec_driver_sql("SELECT count(*) FROM orders").scalar_one() == len(placed)
        differences = [sentence for compared in history.compare(connection) for sentence in compared.differences]
        assert not differences
        for order_id in placed:
            _check_order(connection, order_id, was_cancelled=order_id in cancelled)
    repeated = {key: calls for key, calls in world.calls.items() if calls > 1 + world.repeatable[key]}
    assert not repeated, f"called again without a crash: {repeated}"


def _check_order(connection: Connection, order_id: str, *, was_cancelled: bool) -> None:
    order = orders.get(connection, order_id)
    assert order.status in orders.TERMINAL, f"{order_id} stands still as {order.status}"
    assert not was_cancelled or order.status == "cancelled"
