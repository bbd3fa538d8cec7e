"""Makes up a till's export: `python -m tests.till_export FILE`. The same seed makes the same file."""

import csv
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

HEADER = (
    "order_id",
    "order_date",
    "order_time",
    "pizza_name",
    "pizza_size",
    "pizza_category",
    "unit_price",
    "quantity",
    "total_price",
)
CATEGORIES = ("Classic", "Veggie", "Supreme", "Chicken")
SIZES = (
    ("S", Decimal("-3.25")),
    ("M", Decimal(0)),
    ("L", Decimal("4.25")),
    ("XL", Decimal(9)),
    ("XXL", Decimal("19.2")),
)
SHARES = (28, 31, 38, 2, 1)
NAMES = tuple(f"The {first} {second} Pizza" for first in ("Café", "Big", "Old", "Hot") for second in (
    "Hawaiian", "Greek", "Garden", "Pepper", "Spinach", "Thai", "Soprano", "’Nduja"
))  # fmt: skip


def rows(orders: int = 21_000, seed: int = 0) -> Iterator[tuple[object, ...]]:
    """Give the rows of a year, one for each pizza and quantity: 2.3 pizzas an order on average, 28 at the most."""
    chance = random.Random(seed)
    at = datetime(2025, 1, 1, 11, 30, tzinfo=UTC)
    step = 385 * 11 * 3600 / orders
    for number in range(1, orders + 1):
        pizzas = chance.choices((1, 2, 3, 4, 12, 28), (3500, 2500, 1900, 1900, 80, 6))[0]
        while pizzas:
            quantity = min(pizzas, chance.choices((1, 2, 3), (96, 3, 1))[0])
            pizzas -= quantity
            which = chance.randrange(len(NAMES))
            size, more = chance.choices(SIZES, SHARES)[0]
            price = Decimal(13 + which % 9) + Decimal(which % 4) / 4 + more
            yield (
                number,
                at.strftime("%d/%m/%Y"),
                at.strftime("%H:%M:%S"),
                NAMES[which],
                size,
                CATEGORIES[which % 4],
                f"{price:.2f}",
                quantity,
                f"{price * quantity:.2f}",
            )
        at += timedelta(seconds=chance.randrange(int(2 * step)))
        if at.hour >= 23 or at.hour < 11:
            at = (at + timedelta(hours=12)).replace(hour=11, minute=30, second=0)


def write(path: Path, orders: int = 21_000, seed: int = 0) -> None:
    """Write a file with commas."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows((HEADER, *rows(orders, seed)))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
