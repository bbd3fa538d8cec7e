"""An SNS topic as a target: moto's SNS and SQS, over HTTP."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from moto.server import ThreadedMotoServer

from tasks.bus.retry import Permanent
from tasks.gateways import sns
from tasks.gateways.target import AwayError
from tests.conftest import until
from tests.fakes import sink as fake
from tests.integration.conftest import Shop
from tests.integration.targets.conftest import HAPPY, NOWHERE, again, assert_told, waits

pytestmark = pytest.mark.integration


@dataclass
class Amazon:
    """SNS and SQS, as moto plays them."""

    url: str

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            region_name="eu-west-1",
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def topic(self, name: str, **attributes: str) -> tuple[str, str]:
        """Make a topic and a queue that subscribes to it; gives the topic's name and the queue's address."""
        topic = self.client("sns").create_topic(Name=name, Attributes=attributes)["TopicArn"]
        queue = self.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        wanted = self.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        self.client("sns").subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=wanted["Attributes"]["QueueArn"],
            Attributes={"RawMessageDelivery": "true"},
        )
        return topic, queue

    def got(self, queue: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while (
            messages := self.client("sqs")
            .receive_message(
                QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
            )
            .get("Messages")
        ):
            for message in messages:
                found.append(message)
                self.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture(scope="module")
def amazon() -> Iterator[Amazon]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield Amazon(f"http://{host}:{port}")
    server.stop()


AS = {"sns_key_id": "test", "sns_key": "test"}


def test_a_topic_of_snss_gets_every_step_with_attributes_to_filter_by(
    publish_to: Callable[..., Shop], amazon: Amazon
) -> None:
    topic, queue = amazon.topic(f"topic-{uuid4().hex}")
    shop = publish_to(sns_topic=topic, sns_url=amazon.url, **AS)
    order = shop.order()
    shop.drain()
    messages = amazon.got(queue)
    assert_told([from_http_event(HTTPMessage({}, m["Body"].encode())) for m in messages], shop, order.id)
    for message in messages:
        told = json.loads(message["Body"])
        attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
        assert attributes == {name: told[name] for name in ("type", "source", "subject")}


def test_a_fifo_topic_keeps_an_orders_steps_in_turn_and_none_twice(
    publish_to: Callable[..., Shop], amazon: Amazon
) -> None:
    topic, queue = amazon.topic(f"{uuid4().hex}.fifo", FifoTopic="true", FifoQueue="true")
    shop = publish_to(sns_topic=topic, sns_url=amazon.url, **AS)
    order = shop.order()
    shop.drain()
    messages = amazon.got(queue)
    assert {m["Attributes"]["MessageGroupId"] for m in messages} == {f"order/{order.id}"}
    ids = {json.loads(m["Body"])["id"] for m in messages}
    assert {m["Attributes"]["MessageDeduplicationId"] for m in messages} == ids


def test_without_a_key_all_wait_until_one_is_found(
    publish_to: Callable[..., Shop], amazon: Amazon, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in ("SHARED_CREDENTIALS_FILE", "CONFIG_FILE"):
        monkeypatch.setenv(f"AWS_{name}", "/nowhere/at/all")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    topic, queue = amazon.topic(f"topic-{uuid4().hex}")
    shop = publish_to(sns_topic=topic, sns_url=amazon.url)
    shop.order()
    shop.drain()
    assert waits(shop, "sns")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    until(lambda: again(shop, "sns") == {"done"}, 20, "what waited")
    assert len(amazon.got(queue)) == len(HAPPY)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ExpiredToken", AwayError),
        ("InvalidClientTokenId", AwayError),
        ("Throttling", AwayError),
        ("AuthorizationError", Permanent),
        ("InvalidParameter", Permanent),
    ],
)
def test_a_key_that_is_refused_is_waited_for_and_a_right_that_is_missing_is_not(
    code: str, kind: type[Exception]
) -> None:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    assert type(sns._judged(ClientError(answer, "Publish"))) is kind


def test_while_an_sns_is_away_or_ails_all_wait_and_a_topic_that_is_not_there_is_refused_for_good(
    publish_to: Callable[..., Shop], amazon: Amazon
) -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:nobody"
    shop = publish_to(sns_topic=topic, sns_url=f"http://{NOWHERE}", **AS)
    order = shop.order()
    shop.drain()
    assert (shop.status(order), waits(shop, "sns")) == ("delivered", True)
    sns._client.cache_clear()
    with fake.running() as ailing:
        ailing.status = 503
        shop = publish_to(sns_topic=topic, sns_url=ailing.url, **AS)
        until(lambda: again(shop, "sns") and ailing.asked, 10, "the ailing one's being asked")
        assert waits(shop, "sns")
    sns._client.cache_clear()
    shop = publish_to(sns_topic=topic, sns_url=amazon.url, **AS)
    until(lambda: again(shop, "sns") == {"parked"}, 10, "its refusal")
    assert "NotFound" in shop.deliveries("sns")[0].error
