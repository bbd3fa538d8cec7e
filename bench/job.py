"""The order job, step by step, as its SQL alone: what every peer does, whichever library carries it from step to step.

Each step is given the connection of a transaction; `run` runs one in a transaction of its own. The steps have every
advantage that such code usually has, and some that it has not:

- statements by primary key, no ORM, a connection pool, nothing read that a message can carry;
- recipes are read once for each process; texts are plain f-strings; driving takes one step, not two;
- no oven capacity, no stock thresholds, no check of an order's state, no idempotency, no retries, no event log.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import uuid4

import msgspec
from sqlalchemy import Connection, Engine, create_engine, make_url, text

from domain.basket import NewOrder
from domain.events import OrderItem
from domain.inventory import RecipeBook
from domain.settings import settings

P = ParamSpec("P")
T = TypeVar("T")
Order = dict[str, Any]
"""What messages carry of an order; JSON can hold it."""

POOL = 16


@cache
def engine() -> Engine:
    """Give this process's database."""
    return create_engine(make_url(settings().database()).set(drivername="postgresql+psycopg"), pool_size=POOL)


def run(step: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run one step in a transaction of its own."""
    note_start()
    with engine().begin() as connection:
        return step(connection, *args, **kwargs)


@cache
def note_start() -> None:
    """Note when this process began its first step: from then on the bench counts."""
    with engine().begin() as connection:
        connection.execute(text("INSERT INTO bench_starts (at) VALUES (clock_timestamp())"))


def now() -> datetime:
    """Give the present time, in UTC."""
    return datetime.now(UTC)


def sql(connection: Connection, statement: str, **values: Any) -> Any:
    """Run one SQL statement with named values."""
    return connection.execute(text(statement), values)


# Counter.


def draft(new: NewOrder, items: tuple[OrderItem, ...]) -> Order:
    """Make the order of what is asked for."""
    at = now()
    return {
        "id": uuid4().hex,
        "customer_id": uuid4().hex,
        "name": new.contact.name,
        "phone": new.contact.phone,
        "email": new.contact.email,
        "address": new.address,
        "items": msgspec.to_builtins(items),
        "total": str(sum(item.unit_price * item.quantity for item in items)),
        "currency": settings().currency,
        "placed_at": at.isoformat(),
        "estimated_ready_time": (at + timedelta(seconds=1)).isoformat(),
    }


def place(connection: Connection, order: Order) -> None:
    """Save an order and its customer."""
    sql(
        connection,
        "INSERT INTO customers (id, phone, name, email, created_at)"
        " VALUES (:customer_id, :phone, :name, :email, :placed_at)",
        **order,
    )
    sql(
        connection,
        "INSERT INTO orders (id, customer_id, status, fulfilment, payment, name, phone, email, address, items,"
        " subtotal, tax, total, currency, placed_at, estimated_ready_time, estimated_delivery_time)"
        " VALUES (:id, :customer_id, 'placed', 'delivery', 'cash', :name, :phone, :email, :address,"
        " CAST(:items AS jsonb), :total, 0, :total, :currency, :placed_at, :estimated_ready_time,"
        " :estimated_ready_time)",
        **order | {"items": msgspec.json.encode(order["items"]).decode()},
    )


# Store.


@cache
def recipes() -> RecipeBook:
    """Read the recipes, once for each process."""
    with engine().connect() as connection:
        return RecipeBook(connection)


def reserve(connection: Connection, order: Order) -> None:
    """Put by what the order needs."""
    needs = recipes().needs(msgspec.convert(order["items"], tuple[OrderItem, ...]))
    stock = sql(
        connection,
        "SELECT id, quantity FROM ingredients WHERE id = ANY(:ids) ORDER BY id FOR UPDATE",
        ids=list(needs),
    ).all()
    if any(row.quantity < needs[row.id] for row in stock):
        raise RuntimeError("The bench's stock is ample; this must not happen.")
    sql(
        connection,
        "INSERT INTO reservations (order_id, state, ingredients) VALUES (:id, 'reserved', CAST(:needs AS jsonb))",
        id=order["id"],
        needs=msgspec.json.encode(needs).decode(),
    )
    taken = {"ids": list(needs), "quantities": list(needs.values())}
    sql(
        connection,
        "UPDATE ingredients i SET quantity = i.quantity - n.quantity"
        " FROM unnest(CAST(:ids AS text[]), CAST(:quantities AS bigint[])) AS n (id, quantity) WHERE i.id = n.id",
        **taken,
    )
    sql(
        connection,
        "INSERT INTO stock_movements (ingredient_id, reason, quantity, order_id)"
        " SELECT id, 'reserved', -quantity, :order"
        " FROM unnest(CAST(:ids AS text[]), CAST(:quantities AS bigint[])) AS n (id, quantity)",
        order=order["id"],
        **taken,
    )


# Kitchen. Where steps come in any order the ticket is an upsert, and whoever completes it fires.


def open_ticket(connection: Connection, order: Order, *, reserved: bool = False) -> int:
    """Open the order's ticket; gives the number of pizzas that may be baked now, with the ingredients put by."""
    complete = sql(
        connection,
        "INSERT INTO tickets (order_id, priority, placed_at, preparation_seconds, stock_reserved)"
        " VALUES (:id, 5, :placed_at, 1, :reserved)"
        " ON CONFLICT (order_id) DO UPDATE SET priority = excluded.priority, placed_at = excluded.placed_at,"
        " preparation_seconds = excluded.preparation_seconds RETURNING stock_reserved",
        id=order["id"],
        placed_at=order["placed_at"],
        reserved=reserved,
    ).scalar_one()
    pizzas = [item for item in order["items"] for _ in range(item["quantity"])]
    sql(
        connection,
        "INSERT INTO ticket_pizzas (order_id, number, pizza, size, toppings) SELECT :id, n, pizza, size, '{}'"
        " FROM unnest(CAST(:pizzas AS text[]), CAST(:sizes AS text[])) WITH ORDINALITY AS p (pizza, size, n)",
        id=order["id"],
        pizzas=[item["pizza"] for item in pizzas],
        sizes=[item["size"] for item in pizzas],
    )
    return _start_cooking(connection, order["id"]) if complete else 0


def admit_ticket(connection: Connection, order_id: str) -> int:
    """Note that the ingredients are put by; gives the number of pizzas that may be baked now."""
    known = sql(
        connection,
        "INSERT INTO tickets (order_id, stock_reserved) VALUES (:id, true)"
        " ON CONFLICT (order_id) DO UPDATE SET stock_reserved = true RETURNING priority IS NOT NULL",
        id=order_id,
    ).scalar_one()
    return _start_cooking(connection, order_id) if known else 0


def _start_cooking(connection: Connection, order_id: str) -> int:
    sql(connection, "UPDATE tickets SET state = 'cooking' WHERE order_id = :id", id=order_id)
    sql(connection, "UPDATE orders SET status = 'cooking', cooking_at = :now WHERE id = :id", id=order_id, now=now())
    pizzas = sql(connection, "UPDATE ticket_pizzas SET state = 'baking' WHERE order_id = :id", id=order_id)
    return int(pizzas.rowcount)


def bake(connection: Connection, order_id: str, number: int) -> None:
    """Bake one pizza."""
    sql(
        connection,
        "UPDATE ticket_pizzas SET state = 'baked', baked_at = :now WHERE order_id = :id AND number = :number",
        id=order_id,
        number=number,
        now=now(),
    )


def bake_and_look(connection: Connection, order_id: str, number: int) -> bool:
    """Bake one pizza, and tell whether it was the order's last: the join, for those whose library has none."""
    sql(connection, "SELECT FROM tickets WHERE order_id = :id FOR UPDATE", id=order_id)
    bake(connection, order_id, number)
    left = sql(connection, "SELECT FROM ticket_pizzas WHERE order_id = :id AND state <> 'baked' LIMIT 1", id=order_id)
    return not left.all()


def plate(connection: Connection, order_id: str) -> Order:
    """Make the order ready; gives it for those who are to know."""
    sql(connection, "UPDATE tickets SET state = 'done' WHERE order_id = :id", id=order_id)
    at = now()
    row = sql(
        connection,
        "UPDATE orders SET status = 'ready', ready_at = :now WHERE id = :id RETURNING customer_id, phone, placed_at",
        id=order_id,
        now=at,
    ).one()
    return {
        "id": order_id,
        "customer_id": row.customer_id,
        "phone": row.phone,
        "placed_at": row.placed_at.isoformat(),
        "ready_at": at.isoformat(),
    }


# To the door.


def deliver(connection: Connection, order_id: str) -> str:
    """Send the order off with a free driver; the drive takes no time here, so it is delivered at once. Gives when."""
    driver = sql(
        connection,
        "SELECT id, name FROM drivers d WHERE active"
        " AND NOT EXISTS (SELECT FROM tours t WHERE t.driver_id = d.id AND t.state = 'out')"
        " ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
    ).one()
    values = {"id": order_id, "now": now()}
    sql(
        connection,
        "INSERT INTO tours (order_id, state, fulfilment, driver_id, ready_at, departed_at, due_at)"
        " VALUES (:id, 'out', 'delivery', :driver, :now, :now, :now)",
        driver=driver.id,
        **values,
    )
    sql(
        connection,
        "UPDATE orders SET status = 'out_for_delivery', out_for_delivery_at = :now WHERE id = :id",
        **values,
    )
    at = now()
    values = {"id": order_id, "now": at}
    sql(connection, "UPDATE tours SET state = 'delivered', delivered_at = :now WHERE order_id = :id", **values)
    sql(connection, "UPDATE orders SET status = 'delivered', delivered_at = :now WHERE id = :id", **values)
    return at.isoformat()


# Messages. The console adapter has nothing to do; a message's row is its effect.


def sms(connection: Connection, order: Order, about: str) -> None:
    """Send a text message."""
    _tell(connection, order, "sms", about, order["phone"], None, f"{about}: order {order['id'][:6].upper()}.")


def email(connection: Connection, order: Order) -> None:
    """Send the mail that confirms an order."""
    lines = "\n".join(f"  {item['quantity']} x {item['name']}, {item['size']}" for item in order["items"])
    body = f"Hello {order['name']},\n\n{lines}\n\nTotal: {order['total']} {order['currency']}."
    subject = f"Order {order['id'][:6].upper()} confirmed"
    _tell(connection, order, "email", "OrderPlaced", order["email"], subject, body)


def _tell(
    connection: Connection, order: Order, channel: str, about: str, recipient: str, subject: str | None, body: str
) -> None:
    sql(
        connection,
        "INSERT INTO messages (key, order_id, customer_id, channel, about, recipient, subject, body, state,"
        " attempts, answer, created_at, sent_at) VALUES (:key, :order, :customer, :channel, :about, :recipient,"
        " :subject, :body, 'sent', 1, 'console', :now, :now)",
        key=f"{order['id']}:{channel}:{about}",
        order=order["id"],
        customer=order["customer_id"],
        channel=channel,
        about=about,
        recipient=recipient,
        subject=subject,
        body=body,
        now=now(),
    )


# Figures.


def figure_order(connection: Connection, order: Order) -> None:
    """Keep what was ordered."""
    sql(
        connection,
        "INSERT INTO order_metrics (order_id, customer_id, order_value, item_count, order_time, customer_type,"
        " fulfilment, promised_at)"
        " VALUES (:id, :customer_id, :total, :count, :placed_at, 'new', 'delivery', :estimated_ready_time)",
        count=sum(item["quantity"] for item in order["items"]),
        **order,
    )
    sql(
        connection,
        "INSERT INTO sales_lines (order_id, line, order_time, pizza, name, size, quantity, revenue)"
        " SELECT :id, n, :placed_at, pizza, name, size, quantity, unit_price * quantity"
        " FROM ROWS FROM (json_to_recordset(CAST(:items AS json)) AS"
        " (pizza text, name text, size text, quantity int, unit_price numeric)) WITH ORDINALITY"
        " AS l (pizza, name, size, quantity, unit_price, n)",
        **order | {"items": msgspec.json.encode(order["items"]).decode()},
    )


def figure_preparation(connection: Connection, ready: Order) -> None:
    """Keep how fast it was made."""
    took = datetime.fromisoformat(ready["ready_at"]) - datetime.fromisoformat(ready["placed_at"])
    seconds = round(took.total_seconds())
    sql(
        connection,
        "INSERT INTO preparation_metrics (order_id, preparation_time, efficiency_score, ready_at)"
        " VALUES (:id, :time, :score, :ready_at)",
        id=ready["id"],
        time=seconds,
        score=round(1 / max(seconds, 1), 3),
        ready_at=ready["ready_at"],
    )


def figure_outcome(connection: Connection, order_id: str, delivered_at: str) -> None:
    """Keep how it ended."""
    sql(
        connection,
        "INSERT INTO order_outcomes (order_id, outcome, at) VALUES (:id, 'delivered', :at)",
        id=order_id,
        at=delivered_at,
    )
