"""The web's server as the settings have it."""

import pytest

from domain.settings import Settings
from tasks.cli.web import Server

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("bus", "processes"), [("celery", 3), ("memory", 1)])
def test_a_shop_in_one_process_has_one_whatever_was_asked_for(bus: str, processes: int) -> None:
    assert Server(Settings.model_validate({"bus": bus, "web_workers": 3})).cfg.workers == processes
