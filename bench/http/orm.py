"""The bare insert as most would write it: an object added to SQLAlchemy's session, and a commit."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from flask import Flask, request
from sqlalchemy import Numeric
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from bench.http.bare import engine, order_of

app = Flask(__name__)


class Base(DeclarativeBase):
    """What SQLAlchemy wants."""

    type_annotation_map = {datetime: TIMESTAMP(timezone=True), Decimal: Numeric(12, 2), list[Any]: JSONB}  # noqa: RUF012


class Order(Base):
    """An order, with the columns that the other bare insert fills."""

    __tablename__ = "bench_orders"
    id: Mapped[str] = mapped_column(primary_key=True)
    customer_id: Mapped[str]
    status: Mapped[str]
    fulfilment: Mapped[str]
    payment: Mapped[str]
    name: Mapped[str]
    phone: Mapped[str]
    email: Mapped[str | None]
    address: Mapped[str | None]
    items: Mapped[list[Any]]
    subtotal: Mapped[Decimal]
    tax: Mapped[Decimal]
    total: Mapped[Decimal]
    currency: Mapped[str]
    placed_at: Mapped[datetime]
    estimated_ready_time: Mapped[datetime]
    estimated_delivery_time: Mapped[datetime]


@app.post("/api/orders")
def place() -> tuple[dict[str, Any], int]:
    """Take an order."""
    body, now = request.get_json(), datetime.now(UTC)
    sums = {"subtotal": Decimal(20), "tax": Decimal(0), "total": Decimal(20), "currency": "USD"}
    times = dict.fromkeys(("placed_at", "estimated_ready_time", "estimated_delivery_time"), now)
    order = Order(**order_of(body) | sums | times, status="placed", items=body["items"])
    answer = {"id": order.id}  # once it is committed, the session would read it again
    with Session(engine) as session:
        session.add(order)
        session.commit()
    return answer, 201
