"""`pizzeria menu import` and `export`: all or nothing, twice is once, and what comes out goes in again."""

import csv
import io
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from domain import menu as menus
from domain.basket import InvalidOrderError, Line
from domain.menu import Menu
from domain.registers import pizzas
from domain.registers.pizzas import Pizza
from tasks.cli import menu

pytestmark = pytest.mark.integration

FIVE_SIZES = """category,name,size,price
Classic,The Hawaiian Pizza,L,16.50
Classic,The Hawaiian Pizza,S,10.50
Classic,The Hawaiian Pizza,M,13.25
Veggie,The Greek Pizza,XXL,35.95
Veggie,The Greek Pizza,XL,25.50
"""
TABLES = ("pizzas", "sizes", "prices", "recipes")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no web server to wait for."""
    monkeypatch.setattr(menu, "FRESH_SECONDS", -0.1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "menu.csv"


def run(*words: object) -> Result:
    return CliRunner().invoke(menu.command, [str(word) for word in words])


def bring(file: Path, text: str, *words: str) -> Result:
    file.write_text(text)
    return run("import", file, *words)


def exported() -> str:
    result = run("export")
    assert result.exit_code == 0, result.output
    return result.stdout


def read(shop: Any) -> Menu:
    with shop.database.read() as connection:
        return menus.read(connection)


def state(shop: Any) -> list[Any]:
    return [shop.rows(f"SELECT *, xmin FROM {table} ORDER BY 1, 2") for table in TABLES]


def test_a_menu_in_five_sizes_is_added_to_the_one_there_is(shop: Any, file: Path) -> None:
    result = bring(file, FIVE_SIZES)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Added    The Hawaiian Pizza M: 13.25" in result.stdout
    assert result.stdout.endswith("retired 0.\n")
    found = read(shop)
    assert len(found.pizzas) == 10
    hawaiian = found.pizzas["the-hawaiian-pizza"]
    assert list(hawaiian.prices.items()) == [("s", Decimal("10.50")), ("m", Decimal("13.25")), ("l", Decimal("16.50"))]
    assert hawaiian.category == "Classic"
    assert list(found.pizzas["the-greek-pizza"].prices) == ["xl", "xxl"]


def test_a_pizza_without_a_recipe_takes_nothing_from_the_store_and_is_made(shop: Any, file: Path) -> None:
    bring(file, FIVE_SIZES)
    before = shop.rows("SELECT id, quantity FROM ingredients ORDER BY id")
    order = shop.order(Line(pizza="the-hawaiian-pizza", size="m", quantity=3))
    shop.drain()
    assert (shop.status(order), order.subtotal) == ("delivered", Decimal("39.75"))
    assert shop.rows("SELECT id, quantity FROM ingredients ORDER BY id") == before


def test_a_second_time_nothing_is_written(shop: Any, file: Path) -> None:
    bring(file, FIVE_SIZES, "--replace")
    before = state(shop)
    result = bring(file, FIVE_SIZES, "--replace")
    assert (result.exit_code, result.stdout) == (0, "Nothing changes: the menu is as the file says.\n")
    assert state(shop) == before


def test_what_is_not_listed_stays_unless_the_file_is_the_whole_menu(shop: Any, file: Path) -> None:
    old = shop.order(Line(pizza="margherita", size="large", quantity=1))
    result = bring(file, FIVE_SIZES, "--replace")
    assert "Retired  Margherita Large" in result.stdout
    found = read(shop)
    assert list(found.pizzas) == ["the-hawaiian-pizza", "the-greek-pizza"]
    assert list(found.sizes) == ["s", "m", "l", "xl", "xxl"]
    with pytest.raises(InvalidOrderError, match="no such pizza"):
        shop.order(Line(pizza="margherita", size="large", quantity=1))
    shop.drain()
    assert shop.status(old) == "delivered"
    assert shop.value("SELECT items->0->>'unit_price' FROM orders WHERE id = :id", id=old.id) == "13.00"


def test_what_was_retired_comes_back_with_its_recipe(shop: Any, file: Path) -> None:
    before = exported()
    bring(file, FIVE_SIZES, "--replace")
    result = bring(file, before, "--replace")
    assert "Added    Margherita Small: 8.00" in result.stdout
    assert "recipe" not in result.stdout
    assert exported() == before


def test_a_size_that_is_not_listed_any_more_is_retired_too(shop: Any, file: Path) -> None:
    bring(file, FIVE_SIZES, "--replace")
    result = bring(file, FIVE_SIZES.replace("Classic,The Hawaiian Pizza,M,13.25\n", ""), "--replace")
    assert result.stdout.splitlines()[0] == "Retired  The Hawaiian Pizza M"
    assert list(read(shop).pizzas["the-hawaiian-pizza"].prices) == ["s", "l"]


def test_changes_are_told(shop: Any, file: Path) -> None:
    bring(file, FIVE_SIZES)
    changed = FIVE_SIZES.replace("13.25", "13.5").replace("Greek Pizza", "GREEK pizza").replace("Veggie", "Green")
    result = bring(file, changed)
    assert result.stdout.splitlines() == [
        "Changed  The Greek Pizza: now called The GREEK pizza",
        "Changed  The GREEK pizza: another category",
        "Changed  The Hawaiian Pizza M: 13.50, was 13.25",
        "Added 0, changed 3, retired 0.",
    ]


def test_the_seeded_menu_goes_round_and_nothing_changes(shop: Any, file: Path) -> None:
    before = exported()
    assert before.splitlines()[:2] == [
        "category,name,size,price,description,vegetarian,recipe",
        ',Margherita,Small,8.00,"Tomato, mozzarella and fresh basil.",yes,basil 3; dough 175; mozzarella 77; tomato 63',
    ]
    assert bring(file, before, "--replace").stdout.startswith("Nothing changes")


def test_an_imported_menu_is_exported_as_it_was_written(shop: Any, file: Path) -> None:
    text = "category,name,size,price\nClassic,Hawaiian,S,10.50\nClassic,Hawaiian,L,16.50\n,Greek,XL,25.50\n"
    bring(file, text, "--replace")
    assert exported() == text


def test_recipes_are_imported_changed_and_taken_away(shop: Any, file: Path) -> None:
    text = 'name;size;price;recipe\nRosso;S;8,50;"{}"\n'
    bring(file, text.format("dough 250; tomato 90"))
    assert shop.rows("SELECT ingredient_id, quantity FROM recipes WHERE pizza_id = 'rosso' ORDER BY 1") == [
        ("dough", 250),
        ("tomato", 90),
    ]
    bring(file, text.format("dough 300"))
    assert shop.rows("SELECT ingredient_id, quantity FROM recipes WHERE pizza_id = 'rosso'") == [("dough", 300)]
    bring(file, "name,size,price\nRosso,S,8.60\n")
    assert shop.value("SELECT count(*) FROM recipes WHERE pizza_id = 'rosso'") == 1
    bring(file, text.format(""))
    assert shop.value("SELECT count(*) FROM recipes WHERE pizza_id = 'rosso'") == 0


def test_what_is_imported_can_be_read_by_the_staff_and_saved_again(shop: Any, file: Path) -> None:
    lines = [f"Rosso,{'x' * 50} {number},9999999.99,dough 1000000" for number in range(50)]
    bring(file, "\n".join(("name,size,price,recipe", *lines)) + "\n", "--replace")
    with shop.database.begin("staff") as work:
        kept = pizzas.register.get(work.connection, "rosso")
        said = {name: value for name, value in kept.items() if name not in {"id", "version"}}
        saved = pizzas.register.change(work, "rosso", Pizza.model_validate(said), kept["version"], "staff:ada")
    assert (len(saved["sizes"]), saved) == (50, kept)
    assert "Nothing changes" in bring(file, exported(), "--replace").stdout


def test_sizes_that_a_pizza_has_already_count_unless_the_file_is_the_whole_menu(shop: Any, file: Path) -> None:
    bring(file, "name,size,price\n" + "".join(f"Rosso,{number} cm,10\n" for number in range(1, 31)))
    more = "name,size,price\n" + "".join(f"Rosso,{number} cm,10\n" for number in range(30, 60))
    assert "Line 2: Rosso comes in 59 sizes then, and 50 is the most." in bring(file, more).stderr
    assert bring(file, more, "--replace").exit_code == 0


def rows(*lines: str, header: str = "category,name,size,price") -> str:
    return "\n".join((header, "Classic,Good,M,10.00", *lines)) + "\n"


BAD = {
    "a price that is none": (rows("Classic,Bad,M,ten"), ["Line 3: “ten” is no price such as 12.50."]),
    "no price": (rows("Classic,Bad,M,"), ["Line 3: an empty cell is no price such as 12.50."]),
    "a price of nothing": (rows("Classic,Bad,M,0"), ["Line 3: the price is zero."]),
    "no name": (rows("Classic,,M,10"), ["Line 3: the name is missing."]),
    "no size": (rows("Classic,Bad,,10"), ["Line 3: the size is missing."]),
    "a cell too many": (rows("Classic,Bad,M,10,5"), ["Line 3: the line has 5 cells, the first line has 4."]),
    "a name nobody can read": (rows("Classic,Ba\u202ed,M,10"), ["Line 3: the name holds characters that cannot be"]),
    "a name that is too long": (rows(f"Classic,{'B' * 81},M,10"), ["Line 3: the name is longer than 80 characters."]),
    "a name whose id is too long": (rows(f"Classic,{'B' * 70},M,10"), [f"Line 3: the name {'B' * 70} is too long"]),
    "a name of signs": (rows("Classic,?!,M,10"), ["Line 3: the name ?! has neither letters nor digits."]),
    "two names for one id": (
        rows("Classic,GOOD!,M,10"),
        ["Line 3: GOOD! and Good (line 2) would be one and the same, good."],
    ),
    "two sizes for one id": (rows("Classic,Bad,m,10"), ["Line 3: m and M (line 2) would be one and the same, m."]),
    "two prices": (rows("Classic,Good,M,11"), ["Line 3: Good M costs 11.00, but 10.00 on line 2: give one price"]),
    "two categories": (rows("Veggie,Good,L,11"), ["Line 3: the category of Good is not that of line 2."]),
    "an ingredient that there is not": (
        "name,size,price,recipe\nBad,M,10,stardust 5\n",
        ["Line 2: the store has no ingredient called stardust."],
    ),
    "a recipe that is none": ("name,size,price,recipe\nBad,M,10,dough\n", ["Line 2: a recipe is written like"]),
    "a price that no order can take": (rows("Classic,Bad,M,10000000"), ["Line 3: the price is above 9999999.99."]),
    "a recipe of more than there is": (
        "name,size,price,recipe\nBad,M,10,dough 1000001\n",
        ["Line 2: a recipe takes at most 1000000 of an ingredient."],
    ),
    "a recipe of everything": (
        f"name,size,price,recipe\nBad,M,10,{';'.join(f'sort-{number} 1' for number in range(51))}\n",
        ["Line 2: a recipe takes at most 50 ingredients."],
    ),
    "a size for everybody": (
        "name,size,price\n" + "".join(f"Bad,{number} cm,10\n" for number in range(1, 52)),
        ["Line 2: Bad comes in 51 sizes then, and 50 is the most."],
    ),
    "neither yes nor no": ("name,size,price,vegetarian\nBad,M,10,maybe\n", ["Line 2: vegetarian is yes or no."]),
    "several at once": (
        rows("Classic,Bad,M,ten", "Classic,Fine,M,9", "Classic,Worse,,9"),
        ["Line 3: “ten” is no price such as 12.50.", "Line 5: the size is missing."],
    ),
    "no column": ("category,name,price\nClassic,Bad,10\n", ["has no column for the size"]),
    "no pizza": ("category,name,size,price\n", ["lists no pizza."]),
    "nothing": ("", ["has no column for the name and the size and the price"]),
}


@pytest.mark.parametrize("what", BAD)
def test_each_line_that_is_wrong_is_told_with_one_reason_and_nothing_is_written(
    shop: Any, file: Path, what: str
) -> None:
    text, problems = BAD[what]
    before = state(shop)
    result = bring(file, text, "--replace")
    assert (result.exit_code, result.stdout) == (2, "")
    told = result.stderr.splitlines()
    assert len(told) == len(problems)
    assert all(line.startswith(str(file)) and problem in line for line, problem in zip(told, problems, strict=True))
    assert state(shop) == before


def test_of_many_wrong_lines_twenty_are_told_and_the_others_counted(shop: Any, file: Path) -> None:
    told = bring(file, rows(*["Classic,Bad,M,ten"] * 30)).stderr.splitlines()
    assert len(told) == 21
    assert told[-1].endswith("10 more lines are wrong.")


def test_a_file_that_is_not_there_is_one_sentence(shop: Any, tmp_path: Path) -> None:
    result = run("import", tmp_path / "nothing.csv")
    assert (result.exit_code, result.stderr) == (
        2,
        f"{tmp_path / 'nothing.csv'} cannot be read: No such file or directory.\n",
    )


EXPORT = """order_id,order_date,order_time,pizza_name,pizza_size,unit_price,quantity
1,13/01/2026,18:00,Hawaiian,M,13.25,1
2,14/01/2026,18:00,Hawaiian,M,13.25,2
3,01/06/2026,18:00,Hawaiian,M,14.00,1
4,02/06/2026,18:00,Greek,S,9.00,1
"""


def test_the_export_of_a_till_is_a_price_list_too_where_prices_are_the_same_throughout(shop: Any, file: Path) -> None:
    result = bring(file, EXPORT.replace("14.00", "13.25"), "--replace")
    assert result.exit_code == 0, result.output
    assert exported() == "category,name,size,price\n,Hawaiian,M,13.25\n,Greek,S,9.00\n"


def test_where_prices_changed_it_must_be_said_of_which_day_they_are(shop: Any, file: Path) -> None:
    result = bring(file, EXPORT + "5,03/06/2026,18:00,Hawaiian,M,14.00,1\n")
    assert result.stderr == (
        f"{file}: Line 4: Hawaiian M costs 14.00 on 01/06/2026, but 13.25 on line 2: give one price, or say --as-of"
        " which day.\n"
    )
    assert bring(file, EXPORT, "--replace", "--as-of", "2026-05-31").exit_code == 0
    assert exported() == "category,name,size,price\n,Hawaiian,M,13.25\n"
    result = bring(file, EXPORT, "--replace", "--as-of", "2026-12-31")
    assert "Changed  Hawaiian M: 14.00, was 13.25" in result.stdout
    assert exported() == "category,name,size,price\n,Hawaiian,M,14.00\n,Greek,S,9.00\n"


@pytest.mark.parametrize(
    ("text", "words", "problem"),
    [
        (EXPORT, ("--as-of", "2025-12-31"), "lists no pizza sold by 2025-12-31."),
        (EXPORT.replace("13/01", "3/01").replace("14/01", "4/01"), ("--as-of", "2026-12-31"), "say --dates"),
        (EXPORT.replace("14/01/2026", "some day"), ("--as-of", "2026-12-31"), "Line 3: “some day” is no date"),
        (FIVE_SIZES, ("--as-of", "2026-12-31"), "has no column for the date"),
        (EXPORT, ("--dates", "day-first"), "Say --as-of too"),
    ],
)
def test_a_day_that_cannot_be_found_is_one_sentence(
    shop: Any, file: Path, text: str, words: Iterable[str], problem: str
) -> None:
    before = state(shop)
    result = bring(file, text, *words)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert problem in result.stderr
    assert state(shop) == before


def test_an_export_is_csv_with_what_names_may_hold(shop: Any, file: Path) -> None:
    text = 'name,size,price\n"Ham, ""special""; hot",S,10\nマルゲリータ,S,11\n+Extra,S,12\n=1+1,S,13\n'
    bring(file, text, "--replace")
    assert [row[1] for row in csv.reader(io.StringIO(exported()))] == [
        "name",
        'Ham, "special"; hot',
        "マルゲリータ",
        "+Extra",
        "=1+1",
    ]
    assert "Nothing changes" in bring(file, exported(), "--replace").stdout
