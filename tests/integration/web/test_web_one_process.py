"""The timer in the web's own process."""

from collections.abc import Callable

import pytest

from domain.settings import SettingsError
from tests.conftest import until
from tests.integration.web.conftest import Site
from tests.integration.web.test_web_api import post

pytestmark = pytest.mark.integration


def test_a_ticket_that_no_event_leads_to_the_oven_gets_there_and_caps_are_forgotten(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    order_id = post(site).get_json()["id"]
    site.run("DELETE FROM outbox")
    site.run(
        "INSERT INTO tickets (order_id, stock_reserved, priority, placed_at, preparation_seconds)"
        f" VALUES ('{order_id}', true, 5, now(), 600)"
    )
    site.run(
        "INSERT INTO ticket_pizzas (order_id, number, pizza, size, toppings, state, burns)"
        f" VALUES ('{order_id}', 1, 'margherita', 'large', '{{}}', 'waiting', 0)"
    )
    site.run("INSERT INTO sms_slots VALUES ('long ago', 'x', now() - interval '61 minutes'), ('now', 'x', now())")
    make_site(bus="memory")
    until(lambda: site.rows("SELECT state FROM tickets") == [("cooking",)], 20, "the kitchen's timer")
    until(lambda: site.rows("SELECT key FROM sms_slots") == [("now",)], 20, "the caps' slots that are over")


def test_a_retry_policy_for_a_handler_that_there_is_not_is_refused(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIZZERIA_RETRY_NOBODY", "times=3")
    with pytest.raises(SettingsError, match="PIZZERIA_RETRY_NOBODY: no handler is called so"):
        make_site(bus="memory")
