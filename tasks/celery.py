"""The Celery application: one task and one queue for each handler, and those of the kitchen's workflow."""

import contextlib
import signal
from typing import Any

import structlog
from celery import Celery
from celery.signals import worker_process_init
from kombu.exceptions import OperationalError

from domain import caps
from domain.events import catalogue
from domain.settings import settings
from tasks import workflow
from tasks.bus import consumer, rabbitmq, redis_guard, strangers
from tasks.bus.broker import CeleryBroker, deliver
from tasks.bus.inside import InsideRunner
from tasks.bus.live import Announcer
from tasks.bus.outside import OutsideRunner
from tasks.bus.queues import holds_countdowns, is_rabbitmq, queue
from tasks.bus.registry import Handler
from tasks.bus.relay import Relay
from tasks.database import database
from tasks.garbage import collect_seldom
from tasks.registry import registry

VISIBILITY_TIMEOUT = 60
"""Seconds after which Redis hands an unacknowledged message out again; above every time limit and countdown."""

_TRANSPORT = {
    "visibility_timeout": VISIBILITY_TIMEOUT,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 5,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "priority_steps": [0],
}


def queues() -> list[str]:
    """Name every queue: one for each handler, and the workflow's own."""
    return sorted({*registry().handlers, *workflow.QUEUES})


def _configuration() -> dict[str, Any]:
    broker, results = settings().broker(), settings().results()
    on_rabbitmq = is_rabbitmq(broker)
    return {
        "broker_url": broker,
        "result_backend": results,
        "broker_transport": rabbitmq.TRANSPORT if on_rabbitmq else None,
        "broker_use_ssl": rabbitmq.tls(broker),
        "broker_transport_options": {"confirm_publish": True} if on_rabbitmq else _TRANSPORT,
        "result_backend_transport_options": {"socket_timeout": 5, "socket_connect_timeout": 3},
        "redis_socket_timeout": 5,
        "redis_socket_connect_timeout": 3,
        "redis_socket_keepalive": True,
        "redis_backend_health_check_interval": 10,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_queues": [queue(name, broker) for name in queues()],
        "task_create_missing_queues": False,
        "task_default_queue": queues()[0],
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_failure": True,
        "task_acks_on_timeout": True,
        "task_soft_time_limit": 25,
        "task_time_limit": 30,
        "task_ignore_result": True,
        "task_publish_retry": False,
        "task_send_sent_event": True,
        "worker_consumer": consumer.CONSUMER,
        "worker_prefetch_multiplier": 1,
        "worker_send_task_events": True,
        "worker_soft_shutdown_timeout": 10,
        "worker_enable_soft_shutdown_on_idle": True,
        "worker_eta_task_limit": 1000,
        "worker_hijack_root_logger": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "result_expires": 3600,
        "result_chord_expires": 86400,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "timezone": "UTC",
    }


def _add_task(celery: Celery, handler: Handler) -> None:
    kind = OutsideRunner if handler.outside else InsideRunner
    holds = holds_countdowns(settings().broker())
    runner: list[InsideRunner | OutsideRunner] = []

    def run(task: Any, positions: object) -> None:
        if not runner:  # made in the process that works, never in the one that forks it
            runner.append(kind(database(), catalogue, holds_countdowns=holds))
        deliver(task, handler, runner[0], positions)

    run.__name__ = handler.name
    celery.task(name=handler.name, bind=True, max_retries=None, typing=False)(run)


def make_app() -> Celery:
    """Make the application from the registry. Raises SettingsError where no broker is known."""
    redis_guard.install()
    strangers.install()
    celery = Celery("pizzeria")
    celery.conf.update(_configuration())
    workflow.add_tasks(celery)
    for handler in registry().handlers.values():
        _add_task(celery, handler)
    celery.set_default()
    return celery


app = make_app()


def _begin_work(**_: Any) -> None:
    """Let a process of the pool connect by itself, and collect seldom."""
    database.cache_clear()
    collect_seldom()


worker_process_init.connect(_begin_work)


def make_queues() -> None:
    """Make the queues that are not there, unless the broker is away. Raises QueueMadeOtherwiseError."""
    broker = CeleryBroker(app)
    with contextlib.closing(broker), contextlib.suppress(OperationalError):
        broker.depths(queues())


def run_relay() -> None:
    """Run a relay until SIGTERM or SIGINT."""
    announcer = Announcer(settings().results())
    broker = CeleryBroker(app)

    def beat() -> None:
        workflow.beat(app, broker)
        with database().engine.begin() as connection:
            caps.forget(connection)

    relay = Relay(database(), broker, announcer.announce, beat, settings().keep_deliveries)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: relay.stopping.set())
    structlog.get_logger(__name__).info("relay_started")
    relay.run()
