"""A topic exchange as a target: a real RabbitMQ."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from cloudevents.core.bindings.amqp import AMQPMessage, from_binary_event
from kombu import Connection, Exchange, Queue
from structlog.testing import capture_logs

from tasks.gateways import target
from tests.conftest import until
from tests.integration.conftest import Shop
from tests.integration.targets.conftest import HAPPY, NOWHERE, again, assert_told, waits
from tests.rabbitmq import RabbitMQ

pytestmark = pytest.mark.integration


class Listener:
    """Somebody's queue on a topic exchange."""

    def __init__(self, url: str, exchange_name: str, pattern: str) -> None:
        self.connection = Connection(url)
        channel = self.connection.channel()
        topic = Exchange(exchange_name, type="topic", durable=True)
        self.queue = Queue(f"them-{uuid4().hex}", topic, routing_key=pattern, durable=True)(channel)
        self.queue.declare()

    def got(self) -> list[Any]:
        messages = []
        while (message := self.queue.get(no_ack=True)) is not None:
            messages.append(message)
        return messages


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    made: list[Listener] = []

    def make(*words: str) -> Listener:
        made.append(Listener(*words))
        return made[-1]

    yield make
    for listener in made:
        listener.connection.release()


def test_an_exchange_routes_every_step_by_its_name_to_who_listens(
    publish_to: Callable[..., Shop], rabbitmq: RabbitMQ, listen: Callable[..., Listener]
) -> None:
    name = f"topic-{uuid4().hex}"
    everything, ready = listen(rabbitmq.url, name, "order.#"), listen(rabbitmq.url, name, "order.ready")
    shop = publish_to(amqp_url=rabbitmq.url, amqp_exchange=name)
    order = shop.order()
    shop.drain()
    messages = everything.got()
    assert {message.properties["delivery_mode"] for message in messages} == {2}
    events = [
        from_binary_event(AMQPMessage({"content-type": message.content_type}, message.headers, message.body.encode()))
        for message in messages
    ]
    assert_told(events, shop, order.id)
    assert [message.headers["cloudEvents_type"] for message in ready.got()] == ["com.mariopizzeria.order.ready"]
    assert {row.result for row in shop.deliveries("exchange")} >= {"com.mariopizzeria.order.ready"}


def test_while_a_rabbitmq_is_away_all_wait_and_then_arrive(
    publish_to: Callable[..., Shop], rabbitmq: RabbitMQ, listen: Callable[..., Listener]
) -> None:
    name = f"topic-{uuid4().hex}"
    listener = listen(rabbitmq.url, name, "#")
    shop = publish_to(amqp_url=f"amqp://guest:guest@{NOWHERE}//", amqp_exchange=name)
    order = shop.order()
    shop.drain()
    assert (shop.status(order), waits(shop, "exchange")) == ("delivered", True)
    shop = publish_to(amqp_url=rabbitmq.url, amqp_exchange=name)
    until(lambda: again(shop, "exchange") == {"done"}, 20, "what waited")
    assert len(listener.got()) == len(HAPPY)


def test_what_a_rabbitmq_has_not_confirmed_is_published_again(
    publish_to: Callable[..., Shop],
    rabbitmq: RabbitMQ,
    listen: Callable[..., Listener],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tasks.bus.rabbitmq.PATIENCE", 1)
    name = f"topic-{uuid4().hex}"
    listener = listen(rabbitmq.url, name, "order.placed")
    shop = publish_to(amqp_url=rabbitmq.url, amqp_exchange=name)
    shop.order()
    until(lambda: again(shop, "exchange") == {"done"}, 20, "the first order's")
    monkeypatch.setattr(target, "FIRST_PAUSE", 5.0)  # so that it is asked once while it stands still
    with rabbitmq.standing_still():
        shop.order()
        shop.drain()
        assert "pending" in {row.state for row in shop.deliveries("exchange")}
    until(lambda: again(shop, "exchange") == {"done"}, 30, "the second order's")
    assert len(listener.got()) >= 2


def test_an_exchange_that_somebody_deleted_is_declared_again_and_costs_no_event(
    publish_to: Callable[..., Shop], rabbitmq: RabbitMQ
) -> None:
    name = f"topic-{uuid4().hex}"
    shop = publish_to(amqp_url=rabbitmq.url, amqp_exchange=name)
    shop.order()
    until(lambda: again(shop, "exchange") == {"done"}, 20, "the first order's")
    with Connection(rabbitmq.url) as connection:
        topic = Exchange(name)(connection.channel())
        topic.delete()
        shop.order()
        until(lambda: again(shop, "exchange") != {"pending", "done"}, 20, "the second order's")
        assert {row.state for row in shop.deliveries("exchange")} == {"done"}
        topic.declare(passive=True)


def test_while_a_rabbitmq_refuses_the_login_all_wait_and_the_log_says_so(
    publish_to: Callable[..., Shop], rabbitmq: RabbitMQ
) -> None:
    shop = publish_to(amqp_url=rabbitmq.url.replace("guest:guest", "guest:other"))
    shop.order()
    with capture_logs() as logs:
        shop.drain()
    assert waits(shop, "exchange")
    assert "it refuses the login" in {line["why"] for line in logs if line["event"] == "target_away"}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [("internal", "ACCESS_REFUSED"), ("kind", "PRECONDITION_FAILED")],
)
def test_what_a_rabbitmq_refuses_for_good_is_parked_and_says_why(
    publish_to: Callable[..., Shop], rabbitmq: RabbitMQ, wrong: str, why: str
) -> None:
    name = "amq.rabbitmq.trace" if wrong == "internal" else f"topic-{uuid4().hex}"
    if wrong == "kind":
        with Connection(rabbitmq.url) as connection:
            Exchange(name, type="fanout", durable=True)(connection.channel()).declare()
    shop = publish_to(amqp_url=rabbitmq.url, amqp_exchange=name)
    shop.order()
    shop.fan_out()
    shop.drain()
    assert {row.state for row in shop.deliveries("exchange")} == {"parked"}
    assert why in shop.deliveries("exchange")[0].error
