"""Death, standstill and lost answers at every named place: each costs nothing but time."""

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

import httpx
import pytest

from domain.kernel.failpoint import FOLDER
from tests.acceptance.conftest import ORDER, Shop
from tests.conftest import TREE, until

pytestmark = pytest.mark.acceptance

RECOVERY = 60
"""Seconds after which nothing may be left of what happened at a point."""

# The longest standstill ends a transaction (15 s), or a task (30 s), before it ends by itself.
CASES = [
    "web.changed kill",
    "web.changed lose",
    "web.committed kill",
    "web.committed lose",
    "relay.marked kill",
    "relay.published kill",
    "relay.expanded kill",
    "relay.expanded lose",
    "relay.fanned-out kill",
    "relay.fanned-out lose",
    "relay.found-lost kill",
    "inside.handled kill",
    "inside.handled kill-group",
    "inside.handled pause 18",
    "inside.committed kill",
    "inside.committed kill-group",
    "inside.committed lose",
    "outside.claimed kill",
    "outside.called kill-group",
    "outside.called pause 33",
    "outside.answered kill",
    "outside.answered lose",
    "chord.unsent kill",
    "chord.sent kill-group",
    "chord.baked kill",
    "chord.baked lose",
    "chord.plated kill-group",
    "chord.plated lose",
]
TRANSFERRING = ["loyalty.debited kill", "loyalty.debited lose"]
MIGRATING = ["migrate.upgraded kill", "migrate.seeded kill"]


@pytest.fixture(scope="module")
def shop(new_shop: Callable[..., Shop], tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = new_shop()
    shop.env[FOLDER] = str(tmp_path_factory.mktemp("points"))
    shop.open("--scale", "oven=2")
    return shop


def point_of(case: str) -> str:
    return case.partition(" ")[0]


def arm(shop: Shop, case: str) -> Path:
    """Arm a point; gives the file that is there once it has struck."""
    point, _, what = case.partition(" ")
    folder = Path(shop.env[FOLDER])
    struck = folder / f"{point}.struck"
    struck.unlink(missing_ok=True)
    (folder / f"{point}.draft").write_text(what)
    (folder / f"{point}.draft").rename(folder / point)
    return struck


def insist(shop: Shop, changes: Mapping[str, object] = MappingProxyType({})) -> str:
    """Order as a client should: with one key, again until there is an answer."""
    key = {"Idempotency-Key": uuid4().hex}
    answers: list[httpx.Response] = []

    def answered() -> bool:
        try:
            answers.append(shop.http.post(f"{shop.url}/api/orders", json={**ORDER, **changes}, headers=key))
        except httpx.TransportError:
            return False
        return answers[-1].status_code == 201

    until(answered, 30, "an answer")
    return str(answers[-1].json()["id"])


@pytest.fixture(scope="module")
def struck(shop: Shop) -> dict[str, str]:
    """Let all of it happen, one after the other, while what happened before is still being mended.

    Gives the order that was under way at each point.
    """
    orders = {}
    for case in CASES:
        file = arm(shop, case)
        orders[case] = insist(shop)
        until(file.exists, 45, f"reaching {case}")
    return orders


@pytest.fixture(scope="module")
def deadline(struck: dict[str, str]) -> float:
    """An order may have been struck more than once, at last by the last of all."""
    assert struck
    return time.monotonic() + RECOVERY


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_lost_when_it_happens_at(shop: Shop, struck: dict[str, str], deadline: float, case: str) -> None:
    stream = f"order-{struck[case]}"
    undone = "SELECT count(*) FROM deliveries JOIN events USING (position) WHERE stream = %s AND state <> 'done'"
    unsent = "SELECT count(*) FROM outbox JOIN events USING (position) WHERE stream = %s"
    shop.wait_until_delivered([struck[case]], deadline - time.monotonic())
    until(lambda: shop.value(unsent, stream) + shop.value(undone, stream) == 0, deadline - time.monotonic(), "quiet")


def test_after_all_of_it_there_is_an_order_for_each_key_and_every_invariant_holds(
    shop: Shop, struck: dict[str, str]
) -> None:
    shop.check()
    assert shop.value("SELECT count(*) FROM orders") == len(struck)
    assert shop.value("SELECT count(*) FROM deliveries WHERE state <> 'done'") == 0


@pytest.mark.parametrize("case", TRANSFERRING)
def test_points_that_are_debited_and_not_credited_yet_are_with_their_owner_again(shop: Shop, case: str) -> None:
    known = {"customer": ORDER["customer"] | {"phone": "+12125550102"}}
    shop.wait_until_delivered([insist(shop), insist(shop, known)], RECOVERY)
    balances = "SELECT customer_id, points FROM loyalty_balances JOIN customers c ON c.id = customer_id ORDER BY phone"
    unearned = "SELECT count(*) FROM orders WHERE id NOT IN (SELECT about FROM loyalty_entries)"
    until(lambda: shop.value(unearned) == 0, RECOVERY, "points for every order")
    (sender, had), (recipient, has) = shop.rows(balances)
    file = arm(shop, case)
    password = (shop.home / "staff_password").read_text().strip()

    def transfer() -> int:
        try:
            return shop.http.post(
                f"{shop.url}/api/customers/{sender}/points/transfer",
                json={"to": recipient, "points": 1},
                headers={"Idempotency-Key": case.replace(" ", "-")},
                auth=("staff", password),
            ).status_code
        except httpx.TransportError:
            return 0

    assert transfer() in {0, 503}
    assert file.exists()
    assert shop.rows(balances) == [(sender, had), (recipient, has)]
    until(lambda: transfer() == 201, 30, "an answer")
    assert shop.rows(balances) == [(sender, had - 1), (recipient, has + 1)]


@pytest.mark.parametrize("case", MIGRATING)
def test_a_migration_that_dies_is_finished_by_the_next(
    new_shop: Callable[..., Shop], case: str, tmp_path: Path
) -> None:
    shop = new_shop()
    shop.env[FOLDER] = str(tmp_path)
    shop.start("services")
    shop.services()
    file = arm(shop, case)
    assert shop.run("migrate")[0] == -9
    assert file.exists()
    code, said = shop.run("migrate")
    assert code == 0, said
    assert shop.value("SELECT count(*) FROM pizzas") == 8
    assert shop.run("migrate")[0] == 0
    assert shop.value("SELECT count(*) FROM pizzas") == 8


def test_every_point_is_tried() -> None:
    code = [path.read_text() for package in ("domain", "tasks", "web") for path in (TREE / package).rglob("*.py")]
    points = {name for text in code for name in re.findall(r'FailPoint\("([^"]+)"\)', text)}
    assert {point_of(case) for case in CASES + TRANSFERRING + MIGRATING} == points
