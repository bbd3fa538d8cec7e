"""The job in Celery as one writes it by hand: commit, then `.delay()` for whoever is to know; a chord for each order.

It is given every advantage that such code usually has, and some that it has not:

- one transaction a task, statements by primary key, no ORM, a connection pool, nothing read that a message can carry;
- acknowledged early, results ignored but for the chord's headers, prefetch 1, no task events, Celery's defaults else;
- recipes are read once for each process; texts are plain f-strings; driving takes one task, not two;
- no oven capacity, no stock thresholds, no check of an order's state, no idempotency, no retries.

What it lacks is what this costs: whatever is committed and not yet sent, or sent and not yet acknowledged, is lost
when a process or the broker dies, and a task that runs twice sends its messages twice.
"""

# mypy: disable-error-code="untyped-decorator"

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import uuid4

import msgspec
from celery import Celery, chord
from celery.signals import task_prerun
from sqlalchemy import Connection, Engine, create_engine, make_url, text

from domain.basket import NewOrder
from domain.events import OrderItem
from domain.inventory import RecipeBook
from domain.settings import settings

Order = dict[str, Any]

app = Celery("handwritten", broker=settings().broker(), backend=settings().results())
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


@cache
def engine() -> Engine:
    """Give this process's database."""
    return create_engine(make_url(settings().database()).set(drivername="postgresql+psycopg"), pool_size=2)


def now() -> datetime:
    """Give the present time, in UTC."""
    return datetime.now(UTC)


def run(connection: Connection, sql: str, **values: Any) -> Any:
    """Run one SQL statement with named values."""
    return connection.execute(text(sql), values)


def place(new: NewOrder, items: tuple[OrderItem, ...]) -> None:
    """Save an order, then tell every handler."""
    at = now()
    total = sum(item.unit_price * item.quantity for item in items)
    order = {
        "id": uuid4().hex,
        "customer_id": uuid4().hex,
        "name": new.contact.name,
        "phone": new.contact.phone,
        "email": new.contact.email,
        "address": new.address,
        "items": msgspec.to_builtins(items),
        "total": str(total),
        "currency": settings().currency,
        "placed_at": at.isoformat(),
        "estimated_ready_time": (at + timedelta(seconds=1)).isoformat(),
    }
    with engine().begin() as connection:
        run(
            connection,
            "INSERT INTO customers (id, phone, name, email, created_at)"
            " VALUES (:customer_id, :phone, :name, :email, :placed_at)",
            **order,
        )
        run(
            connection,
            "INSERT INTO orders (id, customer_id, status, fulfilment, payment, name, phone, email, address, items,"
            " subtotal, tax, total, currency, placed_at, estimated_ready_time, estimated_delivery_time)"
            " VALUES (:id, :customer_id, 'placed', 'delivery', 'cash', :name, :phone, :email, :address,"
            " CAST(:items AS jsonb), :total, 0, :total, :currency, :placed_at, :estimated_ready_time,"
            " :estimated_ready_time)",
            **order | {"items": msgspec.json.encode(items).decode()},
        )
    kitchen.delay(order)
    inventory.delay(order)
    sms.delay(order, "OrderPlaced")
    email.delay(order)
    analytics.delay(order)


# Kitchen. The ticket is an upsert, since either prerequisite may come first; whoever completes it fires.


@app.task
def kitchen(order: Order) -> None:
    """Open the order's ticket."""
    with engine().begin() as connection:
        reserved = run(
            connection,
            "INSERT INTO tickets (order_id, priority, placed_at, preparation_seconds) VALUES (:id, 5, :placed_at, 1)"
            " ON CONFLICT (order_id) DO UPDATE SET priority = excluded.priority, placed_at = excluded.placed_at,"
            " preparation_seconds = excluded.preparation_seconds RETURNING stock_reserved",
            **order,
        ).scalar_one()
        pizzas = [item for item in order["items"] for _ in range(item["quantity"])]
        run(
            connection,
            "INSERT INTO ticket_pizzas (order_id, number, pizza, size, toppings) SELECT :id, n, pizza, size, '{}'"
            " FROM unnest(CAST(:pizzas AS text[]), CAST(:sizes AS text[])) WITH ORDINALITY AS p (pizza, size, n)",
            id=order["id"],
            pizzas=[item["pizza"] for item in pizzas],
            sizes=[item["size"] for item in pizzas],
        )
        baking = start_cooking(connection, order["id"]) if reserved else 0
    fire(order["id"], baking)


@app.task
def kitchen_admit(order_id: str) -> None:
    """Note that the ingredients are put by."""
    with engine().begin() as connection:
        known = run(
            connection,
            "INSERT INTO tickets (order_id, stock_reserved) VALUES (:id, true)"
            " ON CONFLICT (order_id) DO UPDATE SET stock_reserved = true RETURNING priority IS NOT NULL",
            id=order_id,
        ).scalar_one()
        baking = start_cooking(connection, order_id) if known else 0
    fire(order_id, baking)


def start_cooking(connection: Connection, order_id: str) -> int:
    """Mark the order as in the oven; gives the number of its pizzas."""
    run(connection, "UPDATE tickets SET state = 'cooking' WHERE order_id = :id", id=order_id)
    run(connection, "UPDATE orders SET status = 'cooking', cooking_at = :now WHERE id = :id", id=order_id, now=now())
    pizzas = run(connection, "UPDATE ticket_pizzas SET state = 'baking' WHERE order_id = :id", id=order_id)
    return int(pizzas.rowcount)


def fire(order_id: str, pizzas: int) -> None:
    """Bake an order's pizzas side by side, then plate them."""
    if pizzas:
        chord([bake.s(order_id, number) for number in range(1, pizzas + 1)])(plate.si(order_id))


@app.task(ignore_result=False)
def bake(order_id: str, number: int) -> str:
    """Bake one pizza."""
    with engine().begin() as connection:
        run(
            connection,
            "UPDATE ticket_pizzas SET state = 'baked', baked_at = :now WHERE order_id = :id AND number = :number",
            id=order_id,
            number=number,
            now=now(),
        )
    return "baked"


@app.task
def plate(order_id: str) -> None:
    """Make the order ready."""
    with engine().begin() as connection:
        run(connection, "UPDATE tickets SET state = 'done' WHERE order_id = :id", id=order_id)
        row = run(
            connection,
            "UPDATE orders SET status = 'ready', ready_at = :now WHERE id = :id "
            " RETURNING customer_id, phone, placed_at",
            id=order_id,
            now=now(),
        ).one()
    order = {"id": order_id, "customer_id": row.customer_id, "phone": row.phone, "placed_at": row.placed_at.isoformat()}
    delivery.delay(order)
    sms.delay(order, "OrderReady")
    analytics_ready.delay(order, now().isoformat())


# Store.


@cache
def recipes() -> RecipeBook:
    """Read the recipes, once for each process."""
    with engine().connect() as connection:
        return RecipeBook(connection)


@app.task
def inventory(order: Order) -> None:
    """Put by what the order needs."""
    needs = recipes().needs(msgspec.convert(order["items"], tuple[OrderItem, ...]))
    with engine().begin() as connection:
        stock = run(
            connection,
            "SELECT id, quantity FROM ingredients WHERE id = ANY(:ids) ORDER BY id FOR UPDATE",
            ids=list(needs),
        ).all()
        if any(row.quantity < needs[row.id] for row in stock):
            raise RuntimeError("The bench's stock is ample; this must not happen.")
        run(
            connection,
            "INSERT INTO reservations (order_id, state, ingredients) VALUES (:id, 'reserved', CAST(:needs AS jsonb))",
            id=order["id"],
            needs=msgspec.json.encode(needs).decode(),
        )
        taken = {"ids": list(needs), "quantities": list(needs.values())}
        run(
            connection,
            "UPDATE ingredients i SET quantity = i.quantity - n.quantity"
            " FROM unnest(CAST(:ids AS text[]), CAST(:quantities AS bigint[])) AS n (id, quantity) WHERE i.id = n.id",
            **taken,
        )
        run(
            connection,
            "INSERT INTO stock_movements (ingredient_id, reason, quantity, order_id)"
            " SELECT id, 'reserved', -quantity, :order"
            " FROM unnest(CAST(:ids AS text[]), CAST(:quantities AS bigint[])) AS n (id, quantity)",
            order=order["id"],
            **taken,
        )
    kitchen_admit.delay(order["id"])


# To the door.


@app.task
def delivery(order: Order) -> None:
    """Send the order off with a free driver; the drive takes no time here, so it is delivered at once."""
    with engine().begin() as connection:
        driver = run(
            connection,
            "SELECT id, name FROM drivers d WHERE active"
            " AND NOT EXISTS (SELECT FROM tours t WHERE t.driver_id = d.id AND t.state = 'out')"
            " ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
        ).one()
        run(
            connection,
            "INSERT INTO tours (order_id, state, fulfilment, driver_id, ready_at, departed_at, due_at)"
            " VALUES (:id, 'out', 'delivery', :driver, :now, :now, :now)",
            id=order["id"],
            driver=driver.id,
            now=now(),
        )
        run(
            connection,
            "UPDATE orders SET status = 'out_for_delivery', out_for_delivery_at = :now WHERE id = :id",
            id=order["id"],
            now=now(),
        )
        at = now()
        values = {"id": order["id"], "now": at}
        run(connection, "UPDATE tours SET state = 'delivered', delivered_at = :now WHERE order_id = :id", **values)
        run(connection, "UPDATE orders SET status = 'delivered', delivered_at = :now WHERE id = :id", **values)
    sms.delay(order, "OrderOutForDelivery")
    sms.delay(order, "OrderDelivered")
    analytics_delivered.delay(order["id"], at.isoformat())


# Messages.


@app.task
def sms(order: Order, about: str) -> None:
    """Send a text message; the console adapter has nothing to do, its row is the effect."""
    tell(order, "sms", about, order["phone"], None, f"{about}: order {order['id'][:6].upper()}.")


@app.task
def email(order: Order) -> None:
    """Send the mail that confirms an order."""
    lines = "\n".join(f"  {item['quantity']} x {item['name']}, {item['size']}" for item in order["items"])
    body = f"Hello {order['name']},\n\n{lines}\n\nTotal: {order['total']} {order['currency']}."
    tell(order, "email", "OrderPlaced", order["email"], f"Order {order['id'][:6].upper()} confirmed", body)


def tell(order: Order, channel: str, about: str, recipient: str, subject: str | None, body: str) -> None:
    """Keep a message that was sent."""
    with engine().begin() as connection:
        run(
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


@app.task
def analytics(order: Order) -> None:
    """Keep what was ordered."""
    with engine().begin() as connection:
        run(
            connection,
            "INSERT INTO order_metrics (order_id, customer_id, order_value, item_count, order_time, customer_type)"
            " VALUES (:id, :customer_id, :total, :count, :placed_at, 'new')",
            count=sum(item["quantity"] for item in order["items"]),
            **order,
        )


@app.task
def analytics_ready(order: Order, ready_at: str) -> None:
    """Keep how fast it was made."""
    seconds = (datetime.fromisoformat(ready_at) - datetime.fromisoformat(order["placed_at"])).total_seconds()
    with engine().begin() as connection:
        run(
            connection,
            "INSERT INTO preparation_metrics (order_id, preparation_time, efficiency_score, ready_at)"
            " VALUES (:id, :time, :score, :ready_at)",
            id=order["id"],
            time=round(seconds),
            score=round(1 / max(round(seconds), 1), 3),
            ready_at=ready_at,
        )


@app.task
def analytics_delivered(order_id: str, delivered_at: str) -> None:
    """Keep how it ended."""
    with engine().begin() as connection:
        run(
            connection,
            "INSERT INTO order_outcomes (order_id, outcome, at) VALUES (:id, 'delivered', :at)",
            id=order_id,
            at=delivered_at,
        )


# For the bench alone: when the first task of each process started.

_noted = False


@task_prerun.connect
def _note_start(**_: Any) -> None:
    global _noted
    if not _noted:
        _noted = True
        with engine().begin() as connection:
            run(connection, "INSERT INTO bench_starts (at) VALUES (clock_timestamp())")
