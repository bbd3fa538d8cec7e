"""A Redis stream as a target: a real Redis."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from redis import Redis

from tasks.gateways import stream
from tests.conftest import until
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
