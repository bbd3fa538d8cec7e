"""`pizzeria customers`: masked unless asked for more, and every refusal is a sentence."""

import json

import pytest
from click.testing import CliRunner, Result

from domain.customers import Contact
from tasks.cli.customers import command
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration

ADA, GRACE = "+15550100001", "+15550100002"


def run(*words: str) -> Result:
    return CliRunner().invoke(command, words, catch_exceptions=False)


@pytest.fixture
def visited(shop: Shop) -> Shop:
    """A shop where Ada has 23 points and Grace has ordered too."""
    shop.order()
    shop.order(contact=Contact("Grace Hopper", GRACE), fulfilment="pickup", address=None)
    shop.drain()
    return shop


def test_numbers_are_masked_and_names_hidden_unless_they_are_asked_for(visited: Shop) -> None:
    said = run("list").stdout
    assert "+15•••••••01" in said
    for personal in (ADA, "Ada", "Grace"):
        assert personal not in said
    whole = run("list", "--full").stdout
    assert ADA in whole
    assert "Grace Hopper" in whole


def test_ids_are_listed_whole_in_a_narrow_terminal(visited: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    said = run("list").stdout
    assert all(customer["id"] in said for customer in json.loads(run("list", "--json").stdout))


def test_customers_are_found_by_the_end_of_their_number(visited: Shop) -> None:
    (found,) = json.loads(run("list", "100002", "--json", "--full").stdout)
    assert (found["name"], found["phone"], found["owes"]) == ("Grace Hopper", GRACE, None)
    assert len(json.loads(run("list", "+1555", "--json").stdout)) == 2
    assert run("list", "999").stdout == "Nobody has such a number.\n"


def test_a_shop_without_customers_says_so(shop: Shop) -> None:
    assert run("list").stdout == "There are no customers yet.\n"


def test_one_is_shown_with_points_and_account(visited: Shop) -> None:
    assert run("account", ADA, "--limit", "60").stdout == "+15•••••••01 may owe 60.00.\n"
    order = visited.order(payment="account")
    assert run("paid", ADA, "--amount", "3.00").stdout == f"+15•••••••01 owes {order.total - 3}.\n"
    shown = json.loads(run("show", ADA, "--json").stdout)
    assert (shown["limit"], shown["owes"], shown["phone"]) == ("60.00", str(order.total - 3), "+15•••••••01")
    assert [entry["reason"] for entry in shown["account_ledger"]] == ["paid", "charged"]
    said = run("show", ADA).stdout
    assert f"charged {order.id}" in said
    assert "Ada" not in said
    assert visited.value("SELECT count(*) FROM audit WHERE who LIKE '%(command line)'") == 2


def test_points_are_transferred_once_for_a_key(visited: Shop) -> None:
    had = visited.value("SELECT max(points) FROM loyalty_balances")
    for was in ("transferred", "were transferred before"):
        result = run("transfer", ADA, GRACE, "5", "--key", "k")
        assert f"+15•••••••02 {was}; " in result.stdout
    assert visited.value("SELECT max(points) FROM loyalty_balances") == had + 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "5550100009"), "There is no such customer."),
        (("show", "f" * 32), "There is no such customer."),
        (("show", "1"), "at least 6 digits"),
        (("show", "+155501000"), "Several customers have such a number"),
        (("paid", ADA, "--amount", "1"), "no house account"),
        (("transfer", ADA, GRACE, "1000"), "transfer no more"),
        (("transfer", ADA, GRACE, "0"), "whole number of points"),
        (("transfer", ADA, ADA, "1"), "Points go to another customer"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence_and_changes_nothing(
    visited: Shop, words: tuple[str, ...], said: str
) -> None:
    result = run(*words)
    assert (result.exit_code, said in result.stderr) == (1, True)
    assert visited.value("SELECT count(*) FROM loyalty_transfers") == 0
    assert visited.value("SELECT count(*) FROM house_accounts") == 0


@pytest.mark.parametrize("amount", ["much", "-1", "1.001", "nan", "inf", "1e3", "1_0", "٣", "99999999999"])
@pytest.mark.parametrize("words", [("account", ADA, "--limit"), ("paid", ADA, "--amount")], ids=lambda words: words[0])
def test_what_is_no_amount_is_refused(shop: Shop, words: tuple[str, ...], amount: str) -> None:
    result = run(*words, amount)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].endswith("Give an amount of money, such as 100.00.")
