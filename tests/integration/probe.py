"""A bus with one handler that a test describes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from domain.events import OrderPlaced, catalogue
from domain.kernel.unit_of_work import UnitOfWork
from tasks.bus import inline, outbox, subscriptions
from tasks.bus.inside import InsideRunner
from tasks.bus.outside import OutsideRunner
from tasks.bus.registry import Handler, Registry, Settle, Subscription
from tasks.bus.retry import Retry
from tests.integration.conftest import Shop

QUICK = Retry(times=3, first=0, cap=0)


class KilledError(BaseException):
    """What no handler of errors sees, as a SIGKILL would be."""


class Probe:
    """A bus with one handler, `probe`, on OrderPlaced; its effect is a row in `effects`."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        shop.execute("CREATE TABLE effects (order_id text, what text)")

    def subscribe(
        self,
        function: Callable[..., Any],
        *,
        outside: bool = False,
        retry: Retry = QUICK,
        settle: Settle | None = None,
        personal: bool = True,
        where: Mapping[str, str] | None = None,
    ) -> Handler:
        subscription = Subscription("OrderPlaced", function, outside, retry, personal, where=where or {})
        handler = Handler("probe", outside, {"OrderPlaced": subscription}, settle)
        self.registry = Registry({"probe": handler})
        with self.shop.database.engine.begin() as connection:
            subscriptions.write(connection, self.registry)
        return handler

    def drain(self) -> None:
        inline.drain(self.shop.database, catalogue, self.registry)

    def fan_out(self) -> list[int]:
        """Make deliveries, send none; gives their positions."""
        outbox.fan_out(self.shop.database.engine, [])
        return [row.position for row in self.deliveries()]

    def deliveries(self) -> list[Any]:
        return self.shop.deliveries("probe")

    def effects(self) -> list[str]:
        return [row.order_id for row in self.shop.rows("SELECT order_id FROM effects")]

    def inside(self, handler: Handler, positions: Sequence[int], *, holds: bool = False) -> float | None:
        return InsideRunner(self.shop.database, catalogue, holds_countdowns=holds).run(handler, positions)

    def outside(self, handler: Handler, positions: Sequence[int], *, holds: bool = False) -> float | None:
        return OutsideRunner(self.shop.database, catalogue, holds_countdowns=holds).run(handler, positions)


def effect(placed: Sequence[OrderPlaced], work: UnitOfWork) -> None:
    for order in placed:
        work.run("INSERT INTO effects VALUES (:id, 'handled')", id=order.order_id)


def cut(work: UnitOfWork) -> None:
    """Lose the connection to the database, as at a restart."""
    work.run("SELECT pg_terminate_backend(pg_backend_pid())")
