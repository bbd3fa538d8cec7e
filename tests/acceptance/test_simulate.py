"""`pizzeria simulate` and `pizzeria check` against an open pizzeria, as a person or a script uses them."""

import json
import signal
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.acceptance.conftest import Shop, answer
from tests.acceptance.flows import FLOWS, told
from tests.conftest import until

pytestmark = pytest.mark.acceptance

FIGURES = [
    "orders",
    "delivered",
    "cancelled",
    "lost",
    "duplicated",
    "placed_per_second",
    "delivered_per_second",
    "placing_ms",
    "delivery_seconds",
]


@pytest.fixture(scope="module")
def shop(new_shop: Callable[..., Shop], sms_service: dict[str, object]) -> Shop:
    shop = new_shop(**sms_service)
    shop.open()
    return shop


def test_a_simulation_delivers_all_and_loses_none_and_the_invariants_hold(shop: Shop) -> None:
    said = shop.ask("simulate", "40", "--json")
    figures = json.loads(said.out)
    assert (said.code, said.err) == (0, "")
    assert list(figures) == FIGURES
    assert {name: figures[name] for name in FIGURES[:5]} == {
        "orders": 40,
        "delivered": 40,
        "cancelled": 0,
        "lost": 0,
        "duplicated": 0,
    }
    assert 0 < figures["placing_ms"]["p50"] <= figures["placing_ms"]["p99"]
    assert 0 < figures["delivery_seconds"]["p50"] <= figures["delivery_seconds"]["p99"]
    said = shop.ask("check", "--json")
    found = json.loads(said.out)
    assert (said.code, said.err, found["ok"], found["quiet"]) == (0, "", True, True)
    assert len(found["invariants"]) > 20
    assert not any(invariant["violations"] for invariant in found["invariants"])


def test_check_finds_what_is_wrong_and_says_so_by_its_exit_code(shop: Shop) -> None:
    shop.rows("UPDATE ingredients SET quantity = quantity + 1 WHERE id = 'mozzarella'")
    try:
        said = shop.ask("check", "--json")
    finally:
        shop.rows("UPDATE ingredients SET quantity = quantity - 1 WHERE id = 'mozzarella'")
    (violated,) = [i for i in json.loads(said.out)["invariants"] if i["violations"]]
    assert said.code == 1
    assert violated["title"] == "The stock ledger sums to what is in the store"
    assert "mozzarella" in violated["examples"][0]


def test_check_says_that_it_did_not_get_quiet(shop: Shop) -> None:
    shop.rows(  # one that seems to be on its way
        "INSERT INTO deliveries (position, handler, dispatched_at)"
        " SELECT min(position), 'sms', now() FROM events WHERE type = 'StockReserved'"
    )
    try:
        said = shop.ask("check", "--wait", "0.5")
    finally:
        shop.rows(
            "DELETE FROM deliveries d USING events e"
            " WHERE d.position = e.position AND d.handler = 'sms' AND e.type = 'StockReserved'"
        )
    assert said.code == 1
    assert "Not quiet: still pending are sms 1." in " ".join(said.out.split())


def test_without_json_it_shows_the_figures_and_tells_on_stderr_how_far_it_is(shop: Shop) -> None:
    said = shop.ask("simulate", "3", "--rate", "20")
    assert said.code == 0
    assert "delivery seconds" in said.out
    assert "Placed: 3 of 3" in said.err
    assert "Done: 3 of 3" in said.err


def test_it_does_not_wait_where_it_is_told_not_to(shop: Shop) -> None:
    said = shop.ask("simulate", "3", "--no-wait", "--json", "--url", shop.url + "/")
    figures = json.loads(said.out)
    assert (said.code, figures["orders"], figures["lost"]) == (0, 3, 0)


def test_a_day_with_all_its_faults_comes_to_what_was_placed(shop: Shop) -> None:
    said = shop.ask("simulate", "40", "--day", "--speed", "3600", "--seed", "3", "--json")
    found = json.loads(said.out)
    day = found["day"]
    assert (said.code, said.err) == (0, "")
    assert list(found) == [*FIGURES, "day"]
    assert (found["orders"], found["lost"], found["duplicated"]) == (40, 0, 0)
    whole = day["figures"]
    assert (whole["placed"], whole["delivered"], whole["cancelled"]) == (40, found["delivered"], found["cancelled"])
    for name in ("placed", "delivered", "pizzas", "cancelled"):
        assert sum(hour[name] for hour in day["hours"]) == whole[name]
    assert f"{sum(Decimal(hour['sales']) for hour in day['hours']):.2f}" == whole["sales"]
    assert day["problems"] == []
    assert day["invariants"]["held"] is True and day["invariants"]["tried"] > 40
    assert everything_is_as_it_was(shop)


def test_a_cent_too_much_in_the_figures_is_found(shop: Shop) -> None:
    shop.rows(
        "CREATE FUNCTION round_up() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.order_value := NEW.order_value + 0.01; RETURN NEW; END'"
    )
    shop.rows("CREATE TRIGGER round_up BEFORE INSERT ON order_metrics FOR EACH ROW EXECUTE FUNCTION round_up()")
    try:
        said = shop.ask("simulate", "3", "--day", "--speed", "36000", "--json")
    finally:
        shop.rows("DROP FUNCTION round_up CASCADE")
        shop.rows(
            "UPDATE order_metrics m SET order_value = o.total FROM orders o"
            " WHERE o.id = m.order_id AND m.order_value <> o.total"
        )
    found = json.loads(said.out)
    assert (said.code, found["orders"], found["lost"]) == (1, 3, 0)
    assert any(line.startswith("The day: sales ") for line in said.err.splitlines())
    assert said.err.splitlines() == found["day"]["problems"]


def test_a_day_that_is_broken_off_leaves_nothing_behind(shop: Shop) -> None:
    day = shop.begin("simulate", "40", "--day", "--speed", "1000", "--seed", "3")
    until(lambda: not everything_is_as_it_was(shop), 60, "the first fault")
    day.send_signal(signal.SIGINT)
    said = answer(day)
    assert said.code == 1
    assert "The SMS service is down." in said.err
    assert everything_is_as_it_was(shop)


def everything_is_as_it_was(shop: Shop) -> bool:
    return bool(shop.value("SELECT NOT EXISTS (SELECT FROM switches) AND bool_and(active) FROM drivers"))


@pytest.mark.parametrize("flow", FLOWS)
def test_every_order_writes_exactly_the_documented_events(shop: Shop, flow: str) -> None:
    assert told(shop, flow) == FLOWS[flow].story
