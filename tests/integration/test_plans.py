"""PostgreSQL's plans are kept: one that was made while its table was small must do when it is large."""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from domain import accounts, messages, orders
from domain.payments import APPROVE
from tasks.bus import sweep
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration

UNPLANNED = ("SET ", "SAVEPOINT", "ROLLBACK", "RELEASE", "BEGIN")
PARAMETER = re.compile(r"%\((\w+)\)s((?:::\w+(?:\[\])?)?)")
SMALL = frozenset({"sizes", "prices", "pizzas", "toppings", "recipes", "ingredients", "suppliers", "drivers"})
SMALL |= {"switches", "subscriptions", "paces", "outbox"}  # the outbox is emptied all the time


@pytest.fixture
def statements(shop: Shop) -> Iterator[list[str]]:
    """Every statement that is run on the shop's database."""
    with shop.statements() as seen:
        yield seen


def numbered(statement: str) -> str:
    """Write a statement's parameters as PostgreSQL does."""
    names = list(dict.fromkeys(name for name, _ in PARAMETER.findall(statement)))
    return PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}{found[2]}", statement).replace("%%", "%")


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def too_much(session: psycopg.Connection[Any], statement: str) -> list[str]:
    """Name what a statement reads from end to end, of tables that grow, and what it does for each pair of rows."""
    explained = session.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {numbered(statement)}".encode()).fetchone()
    assert explained
    found = []
    for node in nodes(explained[0][0]["Plan"]):
        if node["Node Type"] == "Nested Loop":
            found += pairwise(node)
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] not in SMALL:
            found.append(node["Relation Name"])
        if "Index Name" in node:
            table, first, is_partial = index(session, node["Index Name"])
            if table not in SMALL and not is_partial and first not in re.findall(r"\w+", node.get("Index Cond", "")):
                found.append(node["Index Name"])
    return found


def pairwise(loop: Mapping[str, Any]) -> list[str]:
    """Name what a loop does for each pair of rows: it compares them, or goes through a whole array for each row."""
    inner = list(nodes(loop["Plans"][1]))
    arrays = [node["Index Cond"] for node in inner if "ANY" in node.get("Index Cond", "")]
    return [loop[key] for key in ("Join Filter",) if key in loop] + arrays


def index(session: psycopg.Connection[Any], name: str) -> tuple[str, str, bool]:
    """Give an index's table, its first column, and whether it holds only some of the rows."""
    row = session.execute(
        "SELECT i.indrelid::regclass::text, a.attname, i.indpred IS NOT NULL FROM pg_index i JOIN pg_attribute a"
        " ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indexrelid = %s::regclass",
        [name],
    ).fetchone()
    assert row
    return row[0], row[1], row[2]


def test_no_statement_of_an_orders_way_reads_a_growing_table_whole_or_compares_each_row_with_each(
    shop: Shop, statements: list[str]
) -> None:
    delivered = shop.order(key="k")
    pickup = shop.order(fulfilment="pickup", address=None)
    cancelled = shop.order()
    shop.order(key="k")
    by_card = shop.order(payment="card", card_token=APPROVE)
    with shop.database.begin("test") as work:
        accounts.set_limit(work, delivered.customer_id, Decimal(100), "ada")
    on_account = shop.order(key="l", payment="account")
    with shop.database.begin("test") as work:
        orders.cancel(work, cancelled.id, "No.", "customer")
    with shop.database.begin("test") as work:
        orders.cancel(work, on_account.id, "No.", "customer")
    shop.drain()
    sweep.lost(shop.database.engine, {"sms": None})
    assert shop.status(delivered) == shop.status(pickup) == shop.status(by_card) == "delivered"

    options = "-c enable_seqscan=off -c search_path=public,sandbox"
    explained = [statement for statement in dict.fromkeys(statements) if not statement.startswith(UNPLANNED)]
    assert len(explained) > 50
    with psycopg.connect(shop.url, options=options, autocommit=True) as session:
        for told in ("nothing", "how small they are"):  # what PostgreSQL knows of the tables
            found = {" ".join(each.split()): much for each in explained if (much := too_much(session, each))}
            assert not found, f"knowing {told}: {json.dumps(found, indent=1)}"
            session.execute("ANALYZE")


@pytest.mark.parametrize("state", ["queued", "failed", "aborted"])
def test_the_few_messages_in_a_state_are_listed_without_a_walk_through_those_that_were_sent(
    shop: Shop, statements: list[str], state: str
) -> None:
    with shop.database.read() as connection:
        messages.recent(connection, state=state)
    listed = next(statement for statement in statements if "FROM messages" in statement)
    with psycopg.connect(shop.url, options="-c enable_seqscan=off") as session:
        plan = [line for (line,) in session.execute(f"EXPLAIN (GENERIC_PLAN) {numbered(listed)}".encode())]
    assert any("Index Scan using messages_unsent" in line for line in plan), plan
