"""The kitchen: tickets wait for their prerequisites, go into the oven in loads, and come out at the pass.

The prerequisites: the ingredients are put by and, where a card pays, the money is held.

Priority: 5, plus 5 for a pickup (somebody stands at the counter), minus 1 for each ten pizzas. A higher one goes
first, then the older one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text
from uuid_utils.compat import uuid7

from domain.database import hold
from domain.events import OrderCookingStarted, OrderPlaced, OrderReady, OvenLoadFired
from domain.kernel import clock
from domain.kernel.unit_of_work import UnitOfWork
from domain.orders import Order, Orders, UntimelyError
from domain.settings import Settings

LOAD_ORDERS = 500
"""Orders that go into the oven as one load at the most."""
PART_PIZZAS = 250
"""Pizzas that one bake takes in a load of several orders."""
LATE_LOADS = 4
"""With so many loads just due but not out yet, bakes come slower than orders: what waits gathers for a larger load."""
BURNS = 3
"""A pizza burnt so often is given up and shown to the staff."""

PICKUP_INSTRUCTIONS = "Come to the counter and say your order's code; please collect it within 10 minutes."


class NotInTheOvenError(UntimelyError):
    """There is no such pizza in the oven."""


def priority_of(fulfilment: str, pizzas: int) -> int:
    """Say how urgent an order is; a higher one is cooked first."""
    return 5 + (5 if fulfilment == "pickup" else 0) - pizzas // 10


def open_tickets(work: UnitOfWork, placed: Sequence[OrderPlaced]) -> None:
    """Open a ticket for each order, with a row for each pizza."""
    work.locks("tickets")
    orders = sorted(placed, key=lambda order: order.order_id)
    work.run(
        "INSERT INTO tickets (order_id, priority, placed_at, preparation_seconds, paid)"
        " SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:priorities AS int[]), CAST(:placed AS timestamptz[]),"
        " CAST(:seconds AS int[]), CAST(:paid AS boolean[]))"
        " ON CONFLICT (order_id) DO UPDATE SET priority = excluded.priority, placed_at = excluded.placed_at,"
        " preparation_seconds = excluded.preparation_seconds, paid = tickets.paid OR excluded.paid",
        ids=[o.order_id for o in orders],
        priorities=[priority_of(o.fulfilment, sum(i.quantity for i in o.items)) for o in orders],
        placed=[o.placed_at for o in orders],
        seconds=[int((o.estimated_ready_time - o.placed_at).total_seconds()) for o in orders],
        paid=[o.payment != "card" for o in orders],
    )
    work.insert(
        "ticket_pizzas",
        [
            {
                "order_id": order.order_id,
                "number": number,
                "pizza": item.pizza,
                "size": item.size,
                "toppings": item.toppings,
                "state": "waiting",
                "burns": 0,
            }
            for order in orders
            for number, item in enumerate((i for i in order.items for _ in range(i.quantity)), start=1)
        ],
    )


def stock_is_reserved(work: UnitOfWork, order_ids: Iterable[str]) -> None:
    """Note that the store has put by what these orders need, whether or not their ticket is open yet."""
    work.locks("tickets")
    work.run(
        "INSERT INTO tickets (order_id, stock_reserved, paid)"
        " SELECT id, true, false FROM unnest(CAST(:ids AS text[])) AS id"
        " ON CONFLICT (order_id) DO UPDATE SET stock_reserved = true",
        ids=sorted(set(order_ids)),
    )


def is_paid(work: UnitOfWork, order_ids: Iterable[str]) -> None:
    """Note that these orders' money is held on the customers' cards, whether or not their ticket is open yet."""
    work.locks("tickets")
    work.run(
        "INSERT INTO tickets (order_id, paid) SELECT id, true FROM unnest(CAST(:ids AS text[])) AS id"
        " ON CONFLICT (order_id) DO UPDATE SET paid = true",
        ids=sorted(set(order_ids)),
    )


def cancel_tickets(work: UnitOfWork, order_ids: Iterable[str]) -> None:
    """Take these orders' tickets away, or leave a tombstone where the ticket has not come yet."""
    work.locks("tickets")
    work.run(
        "INSERT INTO tickets (order_id, state)"
        " SELECT id, 'cancelled' FROM unnest(CAST(:ids AS text[])) AS id"
        " ON CONFLICT (order_id) DO UPDATE SET state = 'cancelled' WHERE tickets.state = 'open'",
        ids=sorted(set(order_ids)),
    )


class Kitchen:
    """The oven and its capacity, in orders. ``fire`` is the only way in, the pass the only way out."""

    def __init__(self, settings: Settings) -> None:
        self._capacity = settings.oven_capacity
        self._bake = timedelta(seconds=settings.bake_seconds)

    def fire(self, work: UnitOfWork) -> None:
        """Put what waits into the oven, as far as there is room."""
        self._turn(work, [])

    def send_back(self, work: UnitOfWork, order_id: str) -> bool:
        """Try an order again that was given up; tells whether there was one."""
        work.locks("tickets")
        found = work.run(
            "UPDATE tickets SET state = 'open' WHERE order_id = :id AND state = 'failed' RETURNING order_id",
            id=order_id,
        ).scalar()
        if found:
            work.run(
                "UPDATE ticket_pizzas SET state = 'waiting', burns = 0 WHERE order_id = :id AND state <> 'baked'",
                id=order_id,
            )
            self.fire(work)
        return bool(found)

    def plate(self, work: UnitOfWork, load_id: str) -> bool:
        """Take what is baked of a load to the pass, and fire what now has room. Tells whether the load is all out.

        May be called any number of times, at any time.
        """
        return self._plate(work, load_id, self._cooking(work, load_id))

    def take_out(self, work: UnitOfWork, order_id: str, number: int) -> None:
        """Mark one pizza of an order baked, before its load's time is over, and take to the pass what that completes.

        Raises NotInTheOvenError.
        """
        which = {"order": order_id, "number": number}
        load: str = work.run(f"SELECT load_id FROM ticket_pizzas WHERE {_ONE}", **which).scalar() or "none"
        cooking = self._cooking(work, load)
        if not _bake(work, _ONE, which):
            raise NotInTheOvenError("This pizza is not in the oven.")
        self._plate(work, load, cooking)

    @staticmethod
    def _cooking(work: UnitOfWork, load_id: str) -> list[str]:
        """Lock the tickets of a load's orders that are in the oven."""
        work.locks("tickets")
        return work.column(
            "SELECT t.order_id FROM tickets t WHERE t.state = 'cooking'"
            " AND t.order_id IN (SELECT p.order_id FROM ticket_pizzas p WHERE p.load_id = :load)"
            " ORDER BY t.order_id FOR UPDATE",
            load=load_id,
        )

    def _plate(self, work: UnitOfWork, load_id: str, cooking: Sequence[str]) -> bool:
        progress = work.run(
            "SELECT order_id, bool_and(state = 'baked') AS baked, bool_or(state = 'failed') AS failed,"
            " bool_or(state = 'baking' AND load_id = :load) AS baking"
            " FROM ticket_pizzas WHERE order_id = ANY(:ids) GROUP BY order_id",
            load=load_id,
            ids=list(cooking),
        ).all()
        baked = [row.order_id for row in progress if row.baked]
        _end(work, "done", baked)
        _end(work, "failed", [row.order_id for row in progress if row.failed and not row.baking])
        self._turn(work, baked)
        out = not any(row.baking for row in progress)
        if out:
            work.run(
                "UPDATE oven_loads SET plated_at = :now WHERE id = :load AND plated_at IS NULL",
                now=clock.now(),
                load=load_id,
            )
        return out

    def _turn(self, work: UnitOfWork, baked: Sequence[str]) -> None:
        """Make the baked orders ready and fill the oven, both under the kitchen's lock."""
        hold(work, "kitchen")
        burnt, waiting = ([], []) if _is_out(work) else (_burnt(work), self._waiting(work))
        if not (baked or burnt or waiting):
            return
        orders = Orders(work, [*baked, *waiting])
        now = clock.now()
        orders.advance(baked, OrderReady, lambda order: _ready(order, now))
        # A failed order whose pizzas staff send back is cooking already; one cancelled in the meantime is not.
        admitted = [i for i in waiting if i in {*orders.which("placed"), *orders.which("cooking")}]
        self._load(work, orders, burnt + admitted, admitted)
        _end(work, "cancelled", [i for i in waiting if i not in admitted])

    def _waiting(self, work: UnitOfWork) -> list[str]:
        if self._is_behind(work):
            return []
        # Skipping locked tickets: whoever holds one will fire by itself, and waiting here could deadlock.
        inside = work.run("SELECT count(*) FROM tickets WHERE state = 'cooking'").scalar_one()
        return work.column(
            "SELECT order_id FROM tickets WHERE state = 'open' AND stock_reserved AND priority IS NOT NULL AND paid"
            " ORDER BY priority DESC, placed_at, order_id LIMIT :room FOR UPDATE SKIP LOCKED",
            room=max(0, self._capacity - inside),
        )

    @staticmethod
    def _is_behind(work: UnitOfWork) -> bool:
        # A load that is late for longer was lost by the broker: its timer sees to it, and nobody waits for it.
        now = clock.now()
        late = work.run(
            "SELECT count(*) FROM oven_loads WHERE plated_at IS NULL AND due_at BETWEEN :from AND :to",
            **{"from": now - timedelta(seconds=2), "to": now - timedelta(seconds=0.2)},
        ).scalar_one()
        return bool(late >= LATE_LOADS)

    def _load(self, work: UnitOfWork, orders: Orders, ids: Sequence[str], new: Sequence[str]) -> None:
        _end(work, "cooking", new)
        due = clock.now() + self._bake
        load_of: dict[str, str] = {}
        for start in range(0, len(ids), LOAD_ORDERS):
            batch = ids[start : start + LOAD_ORDERS]
            load = uuid7().hex
            load_of |= dict.fromkeys(batch, load)
            parts = self._divide(work, load, batch, due)
            work.record(OvenLoadFired(load_id=load, parts=parts, due_at=due))
        orders.advance(new, OrderCookingStarted, lambda order: _cooking(order, load_of[order.id], due))

    def _divide(self, work: UnitOfWork, load: str, orders: Sequence[str], due: datetime) -> int:
        """Divide a load's pizzas into parts: one each for an order alone, else many. Gives the number of parts."""
        size = 1 if len(orders) == 1 else PART_PIZZAS
        parts: int = work.run(
            "INSERT INTO oven_loads (id, capacity, parts, fired_at, due_at)"
            " SELECT :load, :capacity, (count(*) + :size - 1) / :size, :now, :due FROM ticket_pizzas"
            "  WHERE order_id = ANY(:orders) AND state = 'waiting' RETURNING parts",
            load=load,
            capacity=self._capacity,
            size=size,
            orders=list(orders),
            now=clock.now(),
            due=due,
        ).scalar_one()
        work.run(
            "UPDATE ticket_pizzas p SET state = 'baking', load_id = :load, part = n.part"
            " FROM (SELECT order_id, number, (row_number() OVER (ORDER BY order_id, number) - 1) / :size AS part"
            "  FROM ticket_pizzas WHERE order_id = ANY(:orders) AND state = 'waiting') n"
            " WHERE p.order_id = n.order_id AND p.number = n.number",
            load=load,
            size=size,
            orders=list(orders),
        )
        return parts


def _is_out(work: UnitOfWork) -> bool:
    """Tell whether the oven was switched off: what is in it is baked, what waits goes on waiting."""
    return bool(work.run("SELECT EXISTS (SELECT FROM switches WHERE gateway = 'oven' AND mode = 'out')").scalar())


def _burnt(work: UnitOfWork) -> list[str]:
    """Find the cooking orders with pizzas to be baked again; they have their place in the oven."""
    return work.column(
        "SELECT order_id FROM tickets WHERE state = 'cooking' AND order_id = ANY(ARRAY("
        " SELECT order_id FROM ticket_pizzas WHERE state = 'waiting' AND burns > 0)) ORDER BY order_id"
        " FOR UPDATE SKIP LOCKED"
    )


def _end(work: UnitOfWork, state: str, order_ids: Sequence[str]) -> None:
    if order_ids:
        work.run("UPDATE tickets SET state = :state WHERE order_id = ANY(:ids)", state=state, ids=list(order_ids))


def _cooking(order: Order, load_id: str, due: datetime) -> OrderCookingStarted:
    return OrderCookingStarted(**order.contact, load_id=load_id, estimated_ready_time=due)


def _ready(order: Order, now: datetime) -> OrderReady:
    return OrderReady(
        **order.contact,
        fulfilment=order.fulfilment,
        ready_at=now,
        preparation_time=max(0, round((now - order.placed_at).total_seconds())),
        estimated_preparation_time=round((order.estimated_ready_time - order.placed_at).total_seconds()),
        pickup_instructions=PICKUP_INSTRUCTIONS if order.fulfilment == "pickup" else None,
    )


@dataclass(frozen=True, slots=True)
class Load:
    """A load in the oven: how many parts it bakes in, and when they are done."""

    id: str
    parts: int
    due_at: datetime
    plated_at: datetime | None


def read_load(connection: Connection, load_id: str) -> Load | None:
    """Read a load, or give None for one that there never was."""
    row = connection.execute(
        text("SELECT id, parts, due_at, plated_at FROM oven_loads WHERE id = :id"), {"id": load_id}
    ).one_or_none()
    return Load(*row) if row else None


_PART = "load_id = :load AND part = :part"
_ONE = "order_id = :order AND number = :number"


def bake(work: UnitOfWork, load_id: str, part: int, burnt: str | None = None) -> None:
    """Mark a part's pizzas baked; those of the kind ``burnt`` (``*``: all) go back to wait, or are given up.

    May be called any number of times: each pizza is baked once.
    """
    _bake(work, _PART, {"load": load_id, "part": part}, burnt)


def _bake(work: UnitOfWork, which: str, values: Mapping[str, object], burnt: str | None = None) -> int:
    """Mark those of these pizzas that are in the oven; tells how many they were."""
    return work.run(
        "UPDATE ticket_pizzas p SET"
        " state = CASE WHEN NOT f.burns THEN 'baked' WHEN p.burns + 1 >= :limit THEN 'failed' ELSE 'waiting' END,"
        " burns = p.burns + CASE WHEN f.burns THEN 1 ELSE 0 END,"
        " baked_at = CASE WHEN f.burns THEN NULL ELSE CAST(:now AS timestamptz) END"
        " FROM (SELECT order_id, number, coalesce(:burnt IN ('*', pizza), false) AS burns FROM ticket_pizzas"
        f"   WHERE {which} AND state = 'baking' ORDER BY order_id, number FOR UPDATE) f"
        " WHERE p.order_id = f.order_id AND p.number = f.number",
        limit=BURNS,
        now=clock.now(),
        burnt=burnt,
        **values,
    ).rowcount


def unbaked_parts(connection: Connection, load_id: str) -> list[int]:
    """Tell which parts of a load still have pizzas in the oven."""
    return list(
        connection.execute(
            text("SELECT DISTINCT part FROM ticket_pizzas WHERE load_id = :load AND state = 'baking' ORDER BY part"),
            {"load": load_id},
        )
        .scalars()
        .all()
    )


def failed_orders(connection: Connection) -> set[str]:
    """Tell which orders the kitchen has given up."""
    return set(connection.execute(text("SELECT order_id FROM tickets WHERE state = 'failed'")).scalars().all())
