"""A Redis stream as a target: a real Redis."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from redis import ConnectionError, Redis

from domain import integration
from domain.kernel import clock
from tasks.cli.embedded import _redis_server
from tasks.gateways import stream, target
from tests.conftest import free_port, until
from tests.integration.conftest import Shop
from tests.integration.targets.conftest import NOWHERE, again, assert_told, waits

pytestmark = pytest.mark.integration


def stream_of(url: str, name: str) -> list[BaseCloudEvent]:
    with Redis.from_url(url) as client:
        entries: Any = client.xrange(name)
    assert {entry[b"content-type"] for _, entry in entries} <= {b"application/cloudevents+json"}
    return [from_http_event(HTTPMessage({}, entry[b"event"])) for _, entry in entries]


def test_a_stream_gets_every_step_and_keeps_the_newest(publish_to: Callable[..., Shop], broker_url: str) -> None:
    name = f"stream-{uuid4().hex}"
    shop = publish_to(redis_url=broker_url, redis_stream=name)
    order = shop.order()
    shop.drain()
    assert_told(stream_of(broker_url, name), shop, order.id)
    with Redis.from_url(broker_url) as client:
        for _ in range(400):
            client.xadd(name, {"event": "old"})
        before: Any = client.xlen(name)
        short = publish_to(redis_url=broker_url, redis_stream=name, redis_length=10)
        short.order()
        short.drain()
        after: Any = client.xlen(name)
    assert (before > 400, after < 300) == (True, True)


def test_while_a_redis_is_away_or_full_all_wait_and_what_it_refuses_for_good_is_parked(
    publish_to: Callable[..., Shop], broker_url: str
) -> None:
    name = f"stream-{uuid4().hex}"
    shop = publish_to(redis_url=f"redis://{NOWHERE}", redis_stream=name)
    order = shop.order()
    shop.drain()
    assert shop.status(order) == "delivered"
    assert waits(shop, "stream")
    with Redis.from_url(broker_url) as client:
        client.set(name, "no stream")
    stream._client.cache_clear()
    shop = publish_to(redis_url=broker_url, redis_stream=name)
    until(lambda: again(shop, "stream") == {"parked"}, 10, "its refusal")
    assert "WRONGTYPE" in shop.deliveries("stream")[0].error


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator["Redis"]:
    """A Redis of this test's own, which takes nothing as long as it has no replica."""
    folder, port = tmp_path / "redis", free_port()
    folder.mkdir()
    kept = ["--dir", str(folder), "--save", "3600 1", "--min-replicas-to-write", "1", "--logfile", "/dev/null"]
    command = [_redis_server(), "--bind", "127.0.0.1", "--port", str(port), *kept]
    with subprocess.Popen(command) as server, Redis(port=port) as client:
        try:
            until(lambda: _answers(client), 10, "Redis")
            yield client
        finally:
            server.kill()


def _answers(client: "Redis") -> bool:
    with contextlib.suppress(ConnectionError):
        return bool(client.ping())
    return False


def test_while_a_redis_has_no_replica_or_no_disk_or_refuses_the_login_events_wait(
    configure: Callable[..., None], own_redis: "Redis", tmp_path: Path
) -> None:
    event = integration.IntegrationEvent(uuid4(), clock.now(), "n", "t", "order/1", "d", {})
    port = own_redis.connection_pool.connection_kwargs["port"]
    configure(events_redis_url=f"redis://127.0.0.1:{port}")
    with pytest.raises(target.AwayError, match="NOREPLICAS"):
        stream.publish(event)
    own_redis.config_set("min-replicas-to-write", 0)
    stream.publish(event)
    shutil.rmtree(tmp_path / "redis")
    own_redis.bgsave()
    until(lambda: own_redis.info("persistence")["rdb_last_bgsave_status"] == "err", 10, "a snapshot that fails")
    with pytest.raises(target.AwayError, match="MISCONF"):
        stream.publish(event)
    stream._client().close()
    stream._client.cache_clear()
    configure(events_redis_url=f"redis://nobody:wrong@127.0.0.1:{port}")
    with pytest.raises(target.AwayError, match="AuthenticationError"):
        stream.publish(event)


def test_what_a_redis_does_not_answer_is_not_sent_again_at_once(
    configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "ANSWER_SECONDS", 0.3)
    event = integration.IntegrationEvent(uuid4(), clock.now(), "n", "t", "order/1", "d", {})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        configure(events_redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(target.AwayError, match="TimeoutError"):
            stream.publish(event)
        silent.settimeout(0.5)
        with silent.accept()[0], pytest.raises(TimeoutError):
            silent.accept()
