"""A worker that finds its channel closed learns that its connection is lost, whichever half of it is gone already."""

from types import SimpleNamespace
from typing import Any

import pytest
from kombu.transport.redis import Channel
from redis.exceptions import ConnectionError as RedisConnectionError

from tasks.bus import redis_guard

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("connection", [None, SimpleNamespace(client=None)])
def test_a_closed_channel_says_that_its_connection_is_lost(connection: object) -> None:
    redis_guard.install()
    channel: Any = Channel.__new__(Channel)
    channel.connection = connection
    with pytest.raises(RedisConnectionError):
        channel._connparams()
