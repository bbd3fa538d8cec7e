"""What all targets have in common: who gets events at all, and how often one that is away is asked."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain import integration, webhooks
from domain.settings import PREFIX, SettingsError
from tasks.bus import subscriptions
from tasks.cli.webhooks import HANDLER
from tasks.gateways import target
from tasks.registry import registry
from tests.integration.conftest import Shop
from tests.integration.targets.conftest import NOWHERE, TARGETS

pytestmark = pytest.mark.integration


def test_without_a_target_no_event_takes_this_way(shop: Shop) -> None:
    shop.order()
    shop.drain()
    for handler in TARGETS:
        assert shop.deliveries(handler) == []
        assert not shop.registry.handlers[handler].in_use


@pytest.mark.parametrize(
    ("setting", "module", "library"),
    [
        ({"kafka_servers": NOWHERE}, "confluent_kafka", "confluent-kafka"),
        ({"sns_topic": "arn:aws:sns:eu-west-1:123456789012:t"}, "boto3", "boto3"),
    ],
)
def test_a_library_that_is_missing_is_named_in_one_sentence_before_anything_is_subscribed(
    publish_to: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch, setting: Any, module: str, library: str
) -> None:
    monkeypatch.setattr(target, "find_spec", lambda name: None if name == module else name)
    with pytest.raises(SettingsError, match=rf"wants {library}: install requirements-targets.lock too\.$"):
        publish_to(**setting)


def test_a_target_is_asked_once_in_a_while_and_not_for_every_event(
    publish_to: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "FIRST_PAUSE", 60.0)
    asked = []

    def refuse(event: integration.IntegrationEvent) -> None:
        asked.append(event)
        raise target.AwayError("closed")

    shop = publish_to(redis_url=f"redis://{NOWHERE}")
    from tasks.handlers import stream as handler

    monkeypatch.setattr(handler, "_target", target.Target("Redis", refuse))
    for _ in range(3):
        shop.order()
    shop.drain()
    assert len(asked) == 1
    due = shop.value("SELECT max(not_before - now()) FROM deliveries WHERE handler = 'stream' AND state = 'pending'")
    assert timedelta(seconds=30) < due < timedelta(seconds=61)


def test_a_shell_without_the_setting_silences_nobody_but_a_migration_without_it_does(
    publish_to: Callable[..., Shop], configure: Callable[..., None], broker_url: str
) -> None:
    shop = publish_to(redis_url=broker_url)
    configure(events_redis_url="")
    with shop.database.begin("test") as work:
        webhooks.add(work, "https://example.com", [])
        assert subscriptions.write(work.connection, registry(), only=HANDLER) == []
    told = {row.handler for row in shop.rows("SELECT handler FROM subscriptions")}
    assert {"stream", "webhooks"} <= told
    with shop.database.engine.begin() as connection:
        assert subscriptions.write(connection, registry()) == ["stream"]
    assert {row.handler for row in shop.rows("SELECT handler FROM subscriptions")} == told - {"stream"}


OPENS_TWICE = """
import sys
from pathlib import Path
from tasks.cli.supervisor import Supervisor
from tasks.cli.up import _migrate

with Supervisor(lambda said: None) as supervisor:
    for _ in range(2):
        print(_migrate(Path(sys.argv[1]), supervisor))
"""


def test_who_opens_a_shop_without_the_setting_is_told_whose_events_end_with_it(
    publish_to: Callable[..., Shop], broker_url: str, tmp_path: Path
) -> None:
    shop = publish_to(redis_url=broker_url)
    (tmp_path / "log").mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    said = subprocess.run(
        [sys.executable, "-c", OPENS_TWICE, str(tmp_path)],
        env=clean | {"PIZZERIA_DATABASE_URL": shop.url, "PIZZERIA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "['No events go to stream any more; what still waited is parked.']\n[]\n", said.stderr


def test_what_has_no_target_is_not_in_use(publish_to: Callable[..., Shop], broker_url: str) -> None:
    shop = publish_to(redis_url=broker_url)
    assert set(shop.registry.handlers) - set(shop.registry.in_use) == set(TARGETS) - {"stream"}
    assert {handler for _, handler, _ in shop.registry.subscriptions()} == set(shop.registry.in_use)
