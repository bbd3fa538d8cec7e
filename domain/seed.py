"""What an empty pizzeria starts with: a menu with recipes, suppliers, stock, drivers and a staff login."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from domain import staff
from domain.settings import Settings

AMPLE = 1_000_000_000

# id, name, e-mail, phone, days until delivery
SUPPLIERS = (
    ("molino", "Molino Rossi", "orders@molino.example", "+390612345601", 2),
    ("caseificio", "Caseificio Bianchi", "orders@caseificio.example", "+390612345602", 1),
    ("ortofrutta", "Ortofrutta Verdi", "orders@ortofrutta.example", "+390612345603", 1),
    ("salumeria", "Salumeria Neri", "orders@salumeria.example", "+390612345604", 2),
)

# id: name, unit, stock, threshold, supplier
INGREDIENTS = {
    "dough": ("Pizza dough", "g", 250_000, 25_000, "molino"),
    "tomato": ("Tomato sauce", "g", 90_000, 9_000, "ortofrutta"),
    "mozzarella": ("Mozzarella", "g", 110_000, 11_000, "caseificio"),
    "gorgonzola": ("Gorgonzola", "g", 20_000, 2_000, "caseificio"),
    "parmesan": ("Parmesan", "g", 20_000, 2_000, "caseificio"),
    "fontina": ("Fontina", "g", 20_000, 2_000, "caseificio"),
    "basil": ("Basil", "g", 4_000, 400, "ortofrutta"),
    "oregano": ("Oregano", "g", 2_000, 200, "ortofrutta"),
    "garlic": ("Garlic", "g", 5_000, 500, "ortofrutta"),
    "mushrooms": ("Mushrooms", "g", 30_000, 3_000, "ortofrutta"),
    "artichokes": ("Artichokes", "g", 20_000, 2_000, "ortofrutta"),
    "olives": ("Olives", "g", 20_000, 2_000, "ortofrutta"),
    "peppers": ("Peppers", "g", 30_000, 3_000, "ortofrutta"),
    "onions": ("Onions", "g", 20_000, 2_000, "ortofrutta"),
    "salami": ("Spicy salami", "g", 30_000, 3_000, "salumeria"),
    "ham": ("Cooked ham", "g", 40_000, 4_000, "salumeria"),
    "prosciutto": ("Prosciutto crudo", "g", 20_000, 2_000, "salumeria"),
    "sausage": ("Sausage", "g", 20_000, 2_000, "salumeria"),
}

# id, name, portion relative to a medium in percent, price relative to a medium in percent
SIZES = (("small", "Small", 70, 80), ("medium", "Medium", 100, 100), ("large", "Large", 140, 130))

# id: name, description, vegetarian, cents for a medium, grams for a medium
PIZZAS: Mapping[str, tuple[str, str, bool, int, Mapping[str, int]]] = {
    "margherita": (
        "Margherita",
        "Tomato, mozzarella and fresh basil.",
        True,
        1000,
        {"dough": 250, "tomato": 90, "mozzarella": 110, "basil": 4},
    ),
    "marinara": (
        "Marinara",
        "Tomato, garlic and oregano. No cheese, no regrets.",
        True,
        900,
        {"dough": 250, "tomato": 120, "garlic": 6, "oregano": 2},
    ),
    "diavola": (
        "Diavola",
        "Tomato, mozzarella and spicy salami.",
        False,
        1200,
        {"dough": 250, "tomato": 90, "mozzarella": 100, "salami": 60},
    ),
    "capricciosa": (
        "Capricciosa",
        "Ham, mushrooms, artichokes and olives.",
        False,
        1300,
        {"dough": 250, "tomato": 90, "mozzarella": 90, "ham": 40, "mushrooms": 40, "artichokes": 40, "olives": 20},
    ),
    "quattro-formaggi": (
        "Quattro formaggi",
        "Mozzarella, gorgonzola, fontina and parmesan.",
        True,
        1350,
        {"dough": 250, "mozzarella": 80, "gorgonzola": 40, "fontina": 40, "parmesan": 20},
    ),
    "prosciutto": (
        "Prosciutto",
        "Mozzarella, and prosciutto crudo laid on after the oven.",
        False,
        1300,
        {"dough": 250, "tomato": 80, "mozzarella": 90, "prosciutto": 60},
    ),
    "vegetariana": (
        "Vegetariana",
        "Peppers, mushrooms, onions and olives.",
        True,
        1200,
        {"dough": 250, "tomato": 90, "mozzarella": 90, "peppers": 50, "mushrooms": 40, "onions": 30, "olives": 20},
    ),
    "meat-lovers": (
        "Meat lovers",
        "Spicy salami, ham and sausage.",
        False,
        1450,
        {"dough": 250, "tomato": 90, "mozzarella": 100, "salami": 40, "ham": 40, "sausage": 50},
    ),
}

# id, name, cents, ingredient, grams
TOPPINGS = (
    ("extra-cheese", "Extra cheese", 150, "mozzarella", 50),
    ("mushrooms", "Mushrooms", 120, "mushrooms", 40),
    ("olives", "Olives", 100, "olives", 20),
    ("onions", "Onions", 80, "onions", 30),
    ("spicy-salami", "Spicy salami", 180, "salami", 40),
    ("basil", "Fresh basil", 60, "basil", 4),
)

DRIVERS = ("Luigi", "Giulia", "Paolo", "Chiara", "Enzo", "Sara", "Bruno", "Elena", "Franco", "Anna")


def seed(connection: Connection, settings: Settings) -> bool:
    """Fill an empty database; tells whether it was empty. Drivers, ample stock and the login follow the settings."""
    empty = not connection.execute(text("SELECT EXISTS (SELECT FROM pizzas)")).scalar()
    if empty:
        _suppliers_and_stock(connection)
        _menu(connection)
    _insert(
        connection,
        "drivers",
        [
            {"id": n, "name": DRIVERS[(n - 1) % len(DRIVERS)] + (f" {(n - 1) // len(DRIVERS) + 1}" if n > 10 else "")}
            for n in range(1, settings.drivers + 1)
        ],
    )
    if settings.stock == "ample":
        _fill_up(connection)
    staff.set_password(connection, "staff", settings.secret("staff_password"), "manager")
    return empty


def _suppliers_and_stock(connection: Connection) -> None:
    names = ("id", "name", "email", "phone", "lead_days")
    _insert(connection, "suppliers", [dict(zip(names, row, strict=True)) for row in SUPPLIERS])
    _insert(
        connection,
        "ingredients",
        [
            {
                "id": key,
                "name": name,
                "unit": unit,
                "quantity": 0,
                "minimum_threshold": threshold,
                "supplier_id": supplier,
            }
            for key, (name, unit, _, threshold, supplier) in INGREDIENTS.items()
        ],
    )
    for key, (_, _, quantity, _, _) in INGREDIENTS.items():
        _receive(connection, key, quantity)


def _menu(connection: Connection) -> None:
    _insert(
        connection,
        "sizes",
        [{"id": key, "name": name, "rank": rank} for rank, (key, name, _, _) in enumerate(SIZES, 1)],
    )
    for rank, (key, (name, description, vegetarian, cents, recipe)) in enumerate(PIZZAS.items(), 1):
        row = {"id": key, "name": name, "description": description, "vegetarian": vegetarian, "rank": rank}
        _insert(connection, "pizzas", [row])
        for size, _, portion, percent in SIZES:
            price = (Decimal(cents * percent) / 10_000).quantize(Decimal("0.1"))  # in steps of ten cents
            _insert(connection, "prices", [{"pizza_id": key, "size_id": size, "price": price}])
            _insert(
                connection,
                "recipes",
                [
                    {
                        "pizza_id": key,
                        "size_id": size,
                        "ingredient_id": ingredient,
                        "quantity": max(1, round(grams * portion / 100)),
                    }
                    for ingredient, grams in recipe.items()
                ],
            )
    _insert(
        connection,
        "toppings",
        [
            {
                "id": key,
                "name": name,
                "price": Decimal(cents) / 100,
                "rank": rank,
                "ingredient_id": ingredient,
                "quantity": grams,
            }
            for rank, (key, name, cents, ingredient, grams) in enumerate(TOPPINGS, 1)
        ],
    )


def _fill_up(connection: Connection) -> None:
    low = connection.execute(
        text("SELECT id, quantity FROM ingredients WHERE quantity < :ample ORDER BY id FOR UPDATE"),
        {"ample": AMPLE // 2},
    ).all()
    for row in low:
        _receive(connection, row.id, AMPLE - row.quantity)


def _receive(connection: Connection, ingredient: str, quantity: int) -> None:
    values = {"id": ingredient, "quantity": quantity}
    connection.execute(
        text("UPDATE ingredients SET quantity = quantity + :quantity, low_until = NULL WHERE id = :id"), values
    )
    connection.execute(
        text("INSERT INTO stock_movements (ingredient_id, reason, quantity) VALUES (:id, 'received', :quantity)"),
        values,
    )


def _insert(connection: Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = list(rows[0])
    connection.execute(
        text(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(':' + c for c in columns)})"
            " ON CONFLICT DO NOTHING"
        ),
        rows,
    )
