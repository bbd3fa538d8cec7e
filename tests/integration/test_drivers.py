"""Drivers: at home, on the road, retired, and taken on besides those whom the settings know."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from domain import delivery
from domain.delivery import UnknownDriverError
from domain.orders import Order
from tasks.cli import main
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration


def pizzeria(*words: str) -> Result:
    return CliRunner().invoke(main, ["drivers", *words])


def out(shop: Shop) -> set[int]:
    """The drivers who are on the road."""
    return {row.driver_id for row in shop.rows("SELECT driver_id FROM tours WHERE state = 'out'")}


def arrive(shop: Shop) -> None:
    """Let every tour end, and whoever waits ask again."""
    shop.execute("UPDATE tours SET due_at = now() WHERE state = 'out'")
    shop.execute("UPDATE deliveries SET not_before = now() WHERE handler = 'delivery' AND state = 'pending'")
    shop.drain()


def test_whoever_is_off_duty_ends_the_tour_and_gets_no_other(shop: Shop, configure: Callable[..., None]) -> None:
    configure(drivers=1, drive_seconds=60)
    orders: list[Order] = [shop.order(), shop.order()]
    shop.drain()
    assert out(shop) == {1}
    with shop.database.begin("off") as work:
        assert delivery.set_duty(work, 1, on_duty=False).tour in {order.id for order in orders}
    arrive(shop)
    assert sorted(shop.status(order) for order in orders) == ["delivered", "ready"]
    with shop.database.begin("back") as work:
        delivery.set_duty(work, 1, on_duty=True)
    arrive(shop)
    assert out(shop) == {1}
    arrive(shop)
    assert [shop.status(order) for order in orders] == ["delivered", "delivered"]


def test_all_whom_the_staff_took_on_drive_besides_those_of_the_settings_and_no_others(
    shop: Shop, configure: Callable[..., None]
) -> None:
    configure(drivers=1, drive_seconds=60)
    shop.execute("INSERT INTO drivers (id, name) VALUES (10001, 'Ada'), (10002, 'Bob')")
    shop.execute("INSERT INTO drivers (id, name, retired) VALUES (10003, 'Eve', true)")
    for _ in range(4):
        shop.order()
    shop.drain()
    assert out(shop) == {1, 10001, 10002}
    assert shop.value("SELECT count(*) FROM tours WHERE state = 'waiting'") == 1


def test_a_driver_goes_home_and_comes_back_by_command(shop: Shop) -> None:
    said = pizzeria("off", "2")
    assert (said.exit_code, said.output) == (0, "Giulia is off duty.\n")
    assert "     2  Giulia                off duty\n" in pizzeria().output
    assert shop.value("SELECT count(*) FROM drivers WHERE NOT active") == 1
    assert pizzeria("back", "2").output == "Giulia is on duty.\n"
    assert shop.value("SELECT count(*) FROM drivers WHERE NOT active") == 0
    assert shop.value("SELECT count(*) FROM events") == 0


@pytest.mark.parametrize("number", ["0", "51", "-1", "Luigi", "99999999999"])
def test_a_number_that_no_driver_has_is_refused_in_a_sentence(shop: Shop, number: str) -> None:
    said = pizzeria("off", "--", number)
    assert said.exit_code == 2
    assert said.output.rstrip().endswith(".") and "Traceback" not in said.output
    assert shop.value("SELECT count(*) FROM drivers WHERE NOT active") == 0


def test_a_retired_driver_is_no_longer_called_in(shop: Shop) -> None:
    shop.execute("UPDATE drivers SET retired = true WHERE id = 1")
    with pytest.raises(UnknownDriverError), shop.database.begin("back") as work:
        delivery.set_duty(work, 1, on_duty=True)
    assert "retired" in pizzeria().output
