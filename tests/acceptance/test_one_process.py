"""The whole order flow in the web's own process: PostgreSQL, but no broker, relay or worker."""

import json

import pytest

from tests.conftest import Pizzeria, until

pytestmark = pytest.mark.acceptance


def test_orders_are_delivered_by_the_web_process_alone(pizzeria: Pizzeria) -> None:
    pizzeria.env |= {
        "PIZZERIA_BUS": "memory",
        "PIZZERIA_BAKE_SECONDS": "0",
        "PIZZERIA_DRIVE_SECONDS": "0",
        "PIZZERIA_DRIVERS": "50",
        "PIZZERIA_STOCK": "ample",
    }
    pizzeria.start("up")
    until(lambda: "Ctrl-C ends it" in pizzeria.output, 60, "the opening")
    assert not pizzeria.pids("pizzeria relay")
    assert not pizzeria.pids("pizzeria worker")

    code, printed = pizzeria.run("simulate", "20", "--json")

    assert code == 0
    report = json.loads(printed[printed.index("{") :])
    assert (report["delivered"], report["lost"], report["duplicated"]) == (20, 0, 0)
