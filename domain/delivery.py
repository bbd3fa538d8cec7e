"""From the pass to the door: tours wait for a free driver, the oldest ready order first; pickups cross the counter."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, text

from domain.database import hold
from domain.events import OrderDelivered, OrderOutForDelivery, OrderReady
from domain.kernel import clock
from domain.kernel.unit_of_work import UnitOfWork
from domain.orders import Order, Orders, UntimelyError, get
from domain.settings import MOST_DRIVERS, Settings

ASK_AGAIN = timedelta(seconds=5)
"""How long an order without a driver waits before it asks again, should no driver who comes free take it first."""

# Whom the settings know, and whom the staff took on besides: their numbers lie above any that a setting can name.
_WHO_DRIVES = f"active AND NOT retired AND (id <= :drivers OR id > {MOST_DRIVERS})"


class UnknownDriverError(Exception):
    """There is no such driver."""


@dataclass(frozen=True, slots=True)
class Driver:
    """Somebody who drives, or did; ``tour`` is the order that is being driven."""

    id: int
    name: str
    on_duty: bool
    retired: bool
    tour: str | None


def drivers(connection: Connection) -> list[Driver]:
    """Read all of them."""
    rows = connection.execute(
        text(
            "SELECT d.id, d.name, d.active, d.retired, t.order_id FROM drivers d"
            " LEFT JOIN tours t ON t.driver_id = d.id AND t.state = 'out' ORDER BY d.id"
        )
    )
    return [Driver(*row) for row in rows]


def who_drives(connection: Connection, settings: Settings) -> list[Driver]:
    """Read those who get tours."""
    ids = connection.execute(text(f"SELECT id FROM drivers WHERE {_WHO_DRIVES}"), {"drivers": settings.drivers})
    on_duty = set(ids.scalars())
    return [driver for driver in drivers(connection) if driver.id in on_duty]


def set_duty(work: UnitOfWork, driver_id: int, *, on_duty: bool) -> Driver:
    """Send a driver home, or welcome one back. Who is on a tour ends it first and then gets no other.

    Raises UnknownDriverError for one that there is not, or who was retired.
    """
    work.run(
        "UPDATE drivers SET active = :on_duty WHERE id = :id AND NOT retired AND active <> :on_duty",
        id=driver_id,
        on_duty=on_duty,
    )
    found = next((d for d in drivers(work.connection) if d.id == driver_id and not d.retired), None)
    if found is None:
        raise UnknownDriverError(f"No driver has the number {driver_id}.")
    return found


class NotOnItsWayError(UntimelyError):
    """The order is not on its way, and is no pickup that is ready."""


class Dispatch:
    """Sends ready orders off with free drivers, and hands pickups over."""

    def __init__(self, settings: Settings) -> None:
        self._drive = timedelta(seconds=settings.drive_seconds)
        self._drivers = settings.drivers

    def take(self, work: UnitOfWork, ready: Sequence[OrderReady]) -> dict[str, datetime]:
        """See these orders on their way; gives when to ask again for each that has not arrived yet."""
        ids = [order.order_id for order in ready]
        self._open(work, ready, clock.now())
        now = self._lock(work)
        self._drive_on(work, self._arrived(work, now), now)
        return self._unfinished(work, ids, now)

    def arrive(self, work: UnitOfWork, order_id: str) -> None:
        """End one order's tour, since somebody says that the customer has it; its driver is free again.

        An order for delivery must be on its way; a pickup may have been fetched as soon as it is ready. Raises
        NotOnItsWayError, or UnknownOrderError.
        """
        work.locks("tours")
        work.run("SELECT FROM tours WHERE order_id = :id FOR UPDATE", id=order_id)
        now = self._lock(work)
        arrived = work.column(
            "UPDATE tours SET state = 'delivered', delivered_at = :now WHERE order_id = :id"
            " AND (state = 'out' OR (state = 'waiting' AND fulfilment = 'pickup')) RETURNING order_id",
            now=now,
            id=order_id,
        )
        if not arrived:
            status = get(work.connection, order_id).status
            raise NotOnItsWayError(f"This order is not on its way: it is {status.replace('_', ' ')}.")
        self._drive_on(work, arrived, now)

    @staticmethod
    def _lock(work: UnitOfWork) -> datetime:
        """Let nobody else send drivers off. Gives the time, under the lock: no driver leaves before coming back."""
        hold(work, "dispatch")
        return clock.now()

    def _open(self, work: UnitOfWork, ready: Sequence[OrderReady], now: datetime) -> None:
        """Begin a tour for each order; a pickup only waits at the counter for as long as a drive would take."""
        work.locks("tours")
        orders = sorted(ready, key=lambda order: order.order_id)
        work.run(
            "INSERT INTO tours (order_id, fulfilment, ready_at, due_at)"
            " SELECT id, fulfilment, ready_at, CASE WHEN fulfilment = 'pickup' THEN CAST(:due AS timestamptz) END"
            " FROM unnest(CAST(:ids AS text[]), CAST(:fulfilments AS text[]), CAST(:ready AS timestamptz[]))"
            " AS t (id, fulfilment, ready_at)"
            " ON CONFLICT DO NOTHING",
            ids=[order.order_id for order in orders],
            fulfilments=[order.fulfilment for order in orders],
            ready=[order.ready_at for order in orders],
            due=now + self._drive,
        )

    def _drive_on(self, work: UnitOfWork, arrived: Sequence[str], now: datetime) -> None:
        """Have those tours' orders delivered, and send free drivers off with what waits."""
        leaving: dict[str, str] = {}
        at_once: list[str] = []
        while gone := self._leave(work, now):
            leaving |= gone
            if self._drive:
                break
            at_once += self._arrived(work, now)
        orders = Orders(work, [*arrived, *at_once, *leaving])
        due = now + self._drive
        orders.advance(
            leaving,
            OrderOutForDelivery,
            lambda order: OrderOutForDelivery(
                **order.contact, driver_name=leaving[order.id], estimated_delivery_time=due
            ),
        )
        orders.advance([*arrived, *at_once], OrderDelivered, lambda order: _delivered(order, now))

    def _arrived(self, work: UnitOfWork, now: datetime) -> list[str]:
        """End the tours that are over, pickups with them; their drivers are free again."""
        return work.column(
            "UPDATE tours SET state = 'delivered', delivered_at = :now"
            " WHERE order_id = ANY(ARRAY(SELECT order_id FROM tours WHERE state <> 'delivered' AND due_at <= :now"
            "   ORDER BY order_id FOR UPDATE SKIP LOCKED))"
            " RETURNING order_id",
            now=now,
        )

    def _leave(self, work: UnitOfWork, now: datetime) -> dict[str, str]:
        """Give each free driver the order that has waited longest; gives the driver's name by order."""
        waiting = work.column(
            "SELECT order_id FROM tours WHERE state = 'waiting' AND fulfilment = 'delivery'"
            " ORDER BY ready_at, order_id"
            f" LIMIT :drivers + (SELECT count(*) FROM drivers WHERE id > {MOST_DRIVERS}) FOR UPDATE SKIP LOCKED",
            drivers=self._drivers,
        )
        free = work.run(
            f"SELECT id, name FROM drivers WHERE {_WHO_DRIVES} AND id NOT IN"
            " (SELECT driver_id FROM tours WHERE state = 'out' AND driver_id IS NOT NULL) ORDER BY id LIMIT :most",
            drivers=self._drivers,
            most=len(waiting),
        ).all()
        leaving = dict(zip(waiting, free, strict=False))  # who is left over waits
        if not leaving:
            return {}
        work.run(
            "UPDATE tours SET state = 'out', driver_id = CAST(CAST(:drivers AS jsonb) ->> order_id AS int),"
            " departed_at = :now, due_at = :due WHERE order_id = ANY(:ids)",
            drivers=msgspec.json.encode({order_id: driver.id for order_id, driver in leaving.items()}).decode(),
            ids=list(leaving),
            now=now,
            due=now + self._drive,
        )
        return {order_id: driver.name for order_id, driver in leaving.items()}

    def _unfinished(self, work: UnitOfWork, ids: Iterable[str], now: datetime) -> dict[str, datetime]:
        return {
            row.order_id: row.due_at or now + ASK_AGAIN
            for row in work.run(
                "SELECT order_id, due_at FROM tours WHERE order_id = ANY(:ids) AND state <> 'delivered'", ids=list(ids)
            )
        }


def _delivered(order: Order, now: datetime) -> OrderDelivered:
    return OrderDelivered(**order.contact, fulfilment=order.fulfilment, delivered_at=now, payment=order.payment)
