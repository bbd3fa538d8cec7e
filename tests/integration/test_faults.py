"""What goes wrong on a played day, in the shop's database: it comes, and it always goes."""

from collections.abc import Callable

import pytest

from domain.delivery import who_drives
from domain.settings import settings
from tasks.simulation import ledger
from tasks.simulation.faults import Faults
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration


def modes(shop: Shop) -> dict[str, str]:
    return {row.gateway: row.mode for row in shop.rows("SELECT * FROM switches")}


def driving(shop: Shop) -> int:
    with shop.database.read() as connection:
        return len(who_drives(connection, settings()))


def test_faults_come_and_go_and_are_said(shop: Shop) -> None:
    said: list[str] = []
    with Faults(said.append) as faults:
        faults.begin("oven")
        faults.begin("sms")
        faults.begin("driver")
        assert (modes(shop), driving(shop)) == ({"oven": "out", "sms": "faulty"}, 49)
        faults.end("oven")
        assert modes(shop) == {"sms": "faulty"}
    assert (modes(shop), driving(shop), faults.left) == ({}, 50, [])
    assert said == [
        "The oven is out: nothing goes in.",
        "The SMS service is down.",
        "Luigi, who drives, falls ill and goes home.",
        "The oven is back.",
        "The SMS service is back.",
        "Luigi is well again.",
    ]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_however_a_day_ends_everything_is_as_it_was_before(shop: Shop, interruption: type[BaseException]) -> None:
    shop.execute("INSERT INTO switches VALUES ('oven', 'faulty:diavola')")

    def interrupted() -> None:
        with Faults(lambda _: None) as faults:
            faults.begin("oven")
            faults.begin("driver")
            assert (modes(shop), driving(shop)) == ({"oven": "out"}, 49)
            raise interruption

    with pytest.raises(interruption):
        interrupted()
    assert (modes(shop), driving(shop)) == ({"oven": "faulty:diavola"}, 50)


def test_an_only_driver_does_not_fall_ill(shop: Shop, configure: Callable[..., None]) -> None:
    configure(drivers=1)
    with Faults(lambda _: None) as faults:
        faults.begin("driver")
        assert driving(shop) == 1


def test_a_fault_that_cannot_be_undone_is_said_with_what_to_do(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, configure: Callable[..., None]
) -> None:
    url = shop.url
    with Faults(lambda _: None) as faults:
        faults.begin("sms")
        configure(database_url="postgresql://nobody@127.0.0.1:1/nowhere")
        monkeypatch.setattr(ledger, "PATIENCE", 0)
    assert faults.left == ["The database does not answer, so a fault stays: undo it by `pizzeria gateway sms reset`."]
    configure(database_url=url)
    assert modes(shop) == {"sms": "faulty"}
