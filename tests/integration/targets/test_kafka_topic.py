"""A Kafka topic as a target: librdkafka's own mock cluster, which speaks Kafka's protocol over sockets."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage
from cloudevents.core.bindings.kafka import from_binary_event as from_kafka
from confluent_kafka import Consumer, Producer
from structlog.testing import capture_logs

from domain import integration
from domain.kernel import clock
from domain.settings import settings
from tasks.bus.retry import Permanent
from tasks.gateways import kafka
from tasks.gateways.target import AwayError
from tests.conftest import until
from tests.integration.conftest import Shop
from tests.integration.targets.conftest import HAPPY, NOWHERE, again, assert_told, waits

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The servers of a Kafka that lives in this process."""
    host = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 2, "log_level": 0})
    yield ",".join(f"{broker.host}:{broker.port}" for broker in host.list_topics(timeout=10).brokers.values())
    host.flush(1)


def topic_of(servers: str, name: str, number: int) -> list[Any]:
    """Read so many messages of a topic."""
    reader = Consumer({"bootstrap.servers": servers, "group.id": name, "auto.offset.reset": "earliest", "log_level": 0})
    reader.subscribe([name])
    found: list[Any] = []

    def read() -> bool:
        message = reader.poll(0.2)
        if message is not None and message.error() is None:
            found.append(message)
        return len(found) >= number

    try:
        until(read, 30, f"{number} messages")
    finally:
        reader.close()
    return found


def test_a_topic_of_kafkas_gets_every_step_of_an_order_in_one_partition(
    publish_to: Callable[..., Shop], cluster: str
) -> None:
    name = f"topic-{uuid4().hex}"
    shop = publish_to(kafka_servers=cluster, kafka_topic=name)
    order = shop.order()
    until(lambda: again(shop, "kafka") == {"done"}, 30, "Kafka's reports")
    messages = topic_of(cluster, name, len(HAPPY))
    assert {message.key() for message in messages} == {order.id.encode()}
    assert len({message.partition() for message in messages}) == 1
    assert {dict(message.headers())["content-type"] for message in messages} == {b"application/json"}
    assert_told([from_kafka(KafkaMessage(dict(m.headers()), None, m.value())) for m in messages], shop, order.id)


def test_while_a_kafka_is_away_all_wait_and_what_is_too_large_is_refused_for_good(
    publish_to: Callable[..., Shop], cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "ANSWER_SECONDS", 0.5)
    shop = publish_to(kafka_servers=NOWHERE, kafka_topic=f"topic-{uuid4().hex}")
    order = shop.order()
    shop.drain()
    assert (shop.status(order), waits(shop, "kafka")) == ("delivered", True)
    large = integration.IntegrationEvent(uuid4(), clock.now(), "n", "t", "order/1", "d", {"data": "x" * 2_000_000})
    with pytest.raises(Permanent, match="MSG_SIZE_TOO_LARGE"):
        kafka.publish(large)


def test_a_login_that_is_refused_is_waited_for_and_the_log_names_it(
    configure: Callable[..., None], cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "ANSWER_SECONDS", 1.0)
    configure(  # the mock cluster knows no logins at all
        events_kafka_servers=cluster,
        events_kafka_security="sasl_plaintext",
        events_kafka_mechanism="PLAIN",
        events_kafka_user="mario",
        events_kafka_password="secret",
    )
    event = integration.IntegrationEvent(uuid4(), clock.now(), "n", "t", "order/1", "d", {})
    with capture_logs() as logs, pytest.raises(AwayError):
        kafka.publish(event)
    assert "_AUTHENTICATION" in {line["why"] for line in logs}
    assert "secret" not in str(logs)


def test_a_kafka_with_a_login_is_asked_by_tls_and_with_it(configure: Callable[..., None]) -> None:
    configure(
        events_kafka_servers="kafka.example:9093",
        events_kafka_security="sasl_ssl",
        events_kafka_user="mario",
        events_kafka_password="secret",
    )
    asked = kafka.configuration(settings())
    Producer(asked | {"socket.connection.setup.timeout.ms": 1000})  # which refuses what it does not know
    assert (asked["security.protocol"], asked["sasl.mechanism"]) == ("sasl_ssl", "SCRAM-SHA-512")
    assert (asked["sasl.username"], asked["sasl.password"]) == ("mario", "secret")
