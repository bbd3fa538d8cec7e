"""Logs: one JSON object a line on stdout, for our own events and for every library's."""

import logging
import sys

import structlog
from structlog.typing import Processor

from domain.settings import settings


def configure(process: str) -> None:
    """Make this process log as JSON lines, each naming ``process``.

    A line has ts (UTC, ISO 8601), level, event, logger, process, and whatever is bound to the context: bind
    ``correlation_id`` with structlog.contextvars.bound_contextvars and every line inside carries it, a library's too.
    The standard library's loggers (Celery, gunicorn, SQLAlchemy) come out the same way. Raises SettingsError.
    """

    def name_process(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        line["process"] = process
        return line

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        name_process,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings().log_level)
    for chatty in ("celery.worker.strategy", "celery.app.trace"):  # two lines a task, which Flower shows anyway
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.captureWarnings(True)
