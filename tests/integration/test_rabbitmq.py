"""The bus on RabbitMQ: what its queues are, what is certain once it is published, and what a refusal looks like."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from amqp.exceptions import MessageNacked
from celery import Celery
from kombu import Connection, Queue, pools
from kombu.exceptions import OperationalError
from pydantic import SecretStr

from domain.settings import Settings
from tasks.bus import queues
from tasks.bus.broker import CeleryBroker
from tasks.bus.deliveries import MAX_STARTS
from tasks.bus.rabbitmq import TRANSPORT
from tasks.bus.relay import Message
from tests.conftest import Pizzeria, until
from tests.rabbitmq import RabbitMQ
from web import create_app

pytestmark = pytest.mark.integration


@pytest.fixture
def name() -> str:
    """A queue that only this test uses."""
    return f"queue-{uuid4().hex}"


@pytest.fixture
def channel(rabbitmq: RabbitMQ) -> Iterator[Any]:
    with Connection(rabbitmq.url) as connection:
        yield connection.default_channel


@pytest.fixture
def broker(rabbitmq: RabbitMQ) -> Iterator[CeleryBroker]:
    app = Celery(set_as_current=False)
    app.conf.update(
        broker_url=rabbitmq.url,
        broker_transport=TRANSPORT,
        broker_transport_options={"confirm_publish": True},
        task_publish_retry=False,
    )
    broker = CeleryBroker(app)
    yield broker
    broker.close()
    app.close()
    pools.reset()  # kombu's are everybody's: the next test must not get a connection that died in this one


def test_what_was_published_outlives_the_node_and_depths_tell_what_waits(
    broker: CeleryBroker, rabbitmq: RabbitMQ, name: str
) -> None:
    other = f"{name}-other"
    assert broker.depths([name, other]) == {name: 0, other: 0}
    broker.publish([Message(name, [1]), Message(name, [2, 3]), Message(other, [4])])
    rabbitmq.stop()
    with pytest.raises(OperationalError):
        broker.depths([name])
    rabbitmq.start()
    until(lambda: broker.depths([name, other]) == {name: 2, other: 1}, 20, "what was there")
    with pytest.raises(OperationalError):
        broker.publish([Message(other, [1])])  # on the connection that died
    broker.publish([Message(other, [number]) for number in range(1, 700)])
    assert broker.depths([other]) == {other: 700}


def test_what_the_broker_refuses_is_not_taken_for_published(broker: CeleryBroker, channel: Any, name: str) -> None:
    full = {"x-max-length": 2, "x-overflow": "reject-publish"}
    Queue(name, routing_key=name, queue_arguments=full)(channel).declare()
    for _ in range(2):
        with broker.producer() as producer:
            producer.publish({}, routing_key=name)
    with pytest.raises(MessageNacked), broker.producer() as producer:
        producer.publish({}, routing_key=name)
    with pytest.raises(Exception, match="NOT_FOUND"), broker.producer() as producer:
        producer.publish({}, exchange="nobody's")
    broker.publish([Message(f"{name}-other", [1])])
    assert broker.depths([f"{name}-other"]) == {f"{name}-other": 1}


def test_a_broker_that_stands_still_is_not_waited_for_without_end(
    broker: CeleryBroker, rabbitmq: RabbitMQ, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.bus.rabbitmq.PATIENCE", 1)
    broker.publish([Message(name, [1])])
    with rabbitmq.standing_still():
        with pytest.raises(Exception, match="timed out"):
            broker.publish([Message(name, [2])])
        with pytest.raises(OperationalError):
            broker.depths([name])
    until(lambda: broker.depths([name])[name] >= 1, 20, "the broker's coming back")
    broker.publish([Message(name, [3])])


def test_a_message_handed_out_too_often_becomes_a_dead_letter_but_poison_is_parked_before_that(
    broker: CeleryBroker, channel: Any, name: str
) -> None:
    broker.depths([name])
    queues.dead()(channel).purge()
    broker.publish([Message(name, [7])])
    queue = queues.queue(name, "amqp://")(channel)
    dead = queues.dead()(channel)
    times = 0
    while not (letter := dead.get()):
        if message := queue.get():
            times += 1
            message.requeue()
    assert times == queues.DELIVERY_LIMIT + 1
    assert times > MAX_STARTS + 1, "the first start is not counted"
    death = letter.headers["x-death"][0]
    assert (death["queue"], death["reason"]) == (name, "delivery_limit")
    letter.ack()


def test_a_virtual_host_that_is_gone_is_a_broker_that_does_not_answer(
    rabbitmq: RabbitMQ, fresh_database: str, broker_url: str, tmp_path: Path
) -> None:
    shop = Settings(
        home=tmp_path,
        database_url=SecretStr(fresh_database),
        broker_url=SecretStr(f"{rabbitmq.url}gone"),
        results_url=SecretStr(broker_url),
    )
    parts = create_app(shop).test_client().get("/readyz").get_json()["parts"]
    assert (parts["broker"], parts["results"]) == ("does not answer", "ok")


def test_a_queue_that_somebody_made_in_another_way_is_named_in_one_sentence(
    rabbitmq: RabbitMQ, channel: Any, pizzeria: Pizzeria, services: dict[str, str]
) -> None:
    queue = Queue("analytics", routing_key="analytics")(channel)
    queue.delete()
    queue.declare()
    pizzeria.env |= {"PIZZERIA_BROKER_URL": rabbitmq.url, "PIZZERIA_RESULTS_URL": services["broker_url"]}
    try:
        for words in (["relay"], ["worker", "sms"]):
            code, said = pizzeria.run(*words)
            assert code == 2
            assert "RabbitMQ has a queue that was not made by this release" in said
            assert "for queue 'analytics'" in said
            assert said.count("\n") == 1
    finally:
        queue.delete()
