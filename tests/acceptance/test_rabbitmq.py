"""RabbitMQ as the broker: what the other tests show on Redis, the essential of it on RabbitMQ."""

import base64
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import amqp
import pytest
import redis
from kombu import Connection

from tasks.bus.deliveries import MAX_STARTS, POISON
from tasks.bus.queues import DEAD
from tasks.registry import registry
from tests.acceptance.conftest import Shop, answer
from tests.acceptance.flows import DELIVERED, FIVE
from tests.acceptance.test_chord import pizzas, put_into_the_oven
from tests.acceptance.test_queues import pending
from tests.acceptance.test_strangers import HANDLER, STRANGE, call, message
from tests.conftest import until
from tests.rabbitmq import RabbitMQ

pytestmark = pytest.mark.acceptance

BAKE = 3
ORDERS = 40
RATE = 20
BACKLOG = 18
RECOVERY = 60
"""Seconds within which every order must be at its door; one whose messages are lost waits for a lease as well."""
QUEUES = tuple(sorted({*registry().in_use, "oven", "pass"}))

FATAL = """
import os, signal
from collections.abc import Sequence
from domain.events import OrderPlaced
from domain.kernel.unit_of_work import UnitOfWork
from tasks.bus.registry import handles

@handles(OrderPlaced)
def die(placed: Sequence[OrderPlaced], shop: UnitOfWork) -> None:
    if any(order.fulfilment == "pickup" for order in placed):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def results_url(services: dict[str, str]) -> str:
    """A Redis for the chords' results, which RabbitMQ cannot keep."""
    return services["broker_url"].removesuffix("/0") + "/1"


@pytest.fixture(scope="module")
def shop(new_shop: Callable[..., Shop], rabbitmq: RabbitMQ, results_url: str) -> Shop:
    shop = new_shop(broker_url=rabbitmq.url, results_url=results_url, bake_seconds=BAKE)
    shop.open("--scale", "oven=2")
    return shop


@pytest.fixture(scope="module")
def backlog(new_shop: Callable[..., Shop], copy_tree: Callable[[], Path], rabbitmq: RabbitMQ, results_url: str) -> Shop:
    """A shop without a worker for SMS, with a handler that some orders kill, and with some orders."""
    tree = copy_tree()
    (tree / "tasks" / "handlers" / "fatal.py").write_text(FATAL)
    shop = new_shop(tree, broker_url=rabbitmq.virtual_host("backlog"), results_url=results_url)
    shop.open("--scale", "sms=0")
    (relay,) = shop.pids("pizzeria relay")
    os.kill(relay, signal.SIGSTOP)  # so that all the orders come to the queues at once
    for _ in range(BACKLOG):
        shop.place()
    os.kill(relay, signal.SIGCONT)
    return shop


def depth(shop: Shop, queue: str) -> int:
    with Connection(shop.services()["broker_url"]) as connection:
        return int(connection.default_channel.queue_declare(queue, passive=True).message_count)


def purge(shop: Shop) -> None:
    with Connection(shop.services()["broker_url"]) as connection:
        for queue in QUEUES:
            connection.default_channel.queue_purge(queue)


def put(shop: Shop, *strange: bytes) -> None:
    """Put messages into a queue as they are written for Redis, or raw where they are no message at all."""
    with Connection(shop.services()["broker_url"], transport_options={"confirm_publish": True}) as connection:
        for text in strange:
            connection.default_channel.basic_publish(as_amqp(text), routing_key=HANDLER)


def as_amqp(text: bytes) -> amqp.Message:
    try:
        written = json.loads(text)
        return amqp.Message(
            base64.b64decode(written["body"]),
            application_headers=written["headers"],
            content_type=written["content-type"],
            content_encoding=written.get("content-encoding"),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return amqp.Message(text, content_type="application/json", content_encoding="utf-8")


def restart(rabbitmq: RabbitMQ) -> None:
    rabbitmq.kill()
    rabbitmq.start()


def wipe(shop: Shop, rabbitmq: RabbitMQ) -> None:
    rabbitmq.wipe()
    with redis.Redis.from_url(shop.env["PIZZERIA_RESULTS_URL"]) as results:
        results.flushdb()


FAULTS: dict[str, Callable[[Shop, RabbitMQ], None]] = {
    "workers": lambda shop, _: shop.kill(*(f"pizzeria worker {name}" for name in ("kitchen", "oven", "pass", "sms"))),
    "relay": lambda shop, _: shop.kill("pizzeria relay"),
    "RabbitMQ": lambda _, rabbitmq: restart(rabbitmq),
    "every queue purged": lambda shop, _: purge(shop),
    "RabbitMQ with all it had": wipe,
}


def test_an_order_goes_its_way_by_a_chord_that_ends_when_its_load_is_due(shop: Shop) -> None:
    order = shop.place(items=FIVE)
    shop.wait_until_delivered([order])
    assert shop.events(order) == DELIVERED
    assert pizzas(shop, order, "baked") == 5
    seconds = shop.value("SELECT extract(epoch FROM ready_at - placed_at) FROM orders WHERE id = %s", order)
    assert BAKE <= seconds < BAKE + 6, "by its chord, not by the timer that finds a lost one"


def test_a_worker_killed_while_pizzas_bake_costs_nothing(shop: Shop) -> None:
    order = put_into_the_oven(shop)
    shop.kill("pizzeria worker oven")
    shop.wait_until_delivered([order])
    assert pizzas(shop, order, "baked") == 5


@pytest.mark.parametrize("what", FAULTS)
def test_nothing_is_lost_or_done_twice_when_it_dies_in_a_rush(shop: Shop, rabbitmq: RabbitMQ, what: str) -> None:
    before = shop.value("SELECT count(*) FROM orders")
    simulation = shop.begin("simulate", str(ORDERS), "--rate", str(RATE), "--json")
    until(lambda: shop.value("SELECT count(*) FROM orders") >= before + ORDERS // 3, 30, "the rush")
    FAULTS[what](shop, rabbitmq)
    said = answer(simulation, 150)
    assert said.out, said.err
    figures = json.loads(said.out)
    assert (figures["delivered"], figures["lost"], figures["duplicated"], said.code) == (ORDERS, 0, 0, 0)
    assert figures["delivery_seconds"]["p99"] < (RECOVERY if what != "RabbitMQ with all it had" else 90)


def test_a_failed_delivery_waits_in_the_ledger_and_the_relay_brings_it_back(shop: Shop) -> None:
    assert shop.ask("gateway", "sms", "faulty").code == 0
    try:
        order = shop.place()
        until(lambda: any(d.attempts >= 2 for d in shop.deliveries("sms", order)), 30, "a second attempt")
        until(lambda: any(d.dispatched_at is None for d in shop.deliveries("sms", order)), 10, "the wait for the next")
        assert depth(shop, "sms") == 0
    finally:
        assert shop.ask("gateway", "sms", "reset").code == 0
    until(lambda: shop.deliveries("sms", order)[0].state == "done", 30, "the SMS")


def test_messages_that_nobody_sent_are_refused_and_stop_no_worker(shop: Shop) -> None:
    workers = shop.pids("pizzeria worker")
    secret = "4111 1111 1111 1111"
    put(shop, *STRANGE.values(), message(call(secret)), message(f'"{secret}"'.encode(), task="pay_everybody"))
    shop.wait_until_delivered([shop.place() for _ in range(3)], 30)
    assert depth(shop, HANDLER) == 0
    assert shop.pids("pizzeria worker") == workers
    log = (shop.home / "log" / f"worker-{HANDLER}.log").read_text()
    assert "message_refused" in log
    assert secret not in log


def test_after_all_of_that_every_invariant_holds_and_nothing_is_parked(shop: Shop) -> None:
    shop.check()
    assert shop.value("SELECT count(*) FROM deliveries WHERE state = 'parked'") == 0


def test_what_nobody_worked_on_waits_and_is_drained_by_the_first_worker(backlog: Shop) -> None:
    until(lambda: pending(backlog, "sms") >= BACKLOG and depth(backlog, "sms") > 0, 30, "a backlog")
    backlog.worker("sms")
    until(lambda: not pending(backlog, "sms"), 30, "the end of the backlog")
    assert backlog.value("SELECT max(sends) FROM deliveries WHERE handler = 'sms'") == 1


def test_what_kills_its_worker_is_parked_before_rabbitmq_gives_it_up(backlog: Shop) -> None:
    order = backlog.place(fulfilment="pickup")
    until(lambda: any(d.state == "parked" for d in backlog.deliveries("fatal", order)), 60, "its being parked")
    (delivery,) = backlog.deliveries("fatal", order)
    assert (delivery.starts, delivery.sends, delivery.error) == (MAX_STARTS, 1, POISON)
    assert depth(backlog, DEAD) == 0
