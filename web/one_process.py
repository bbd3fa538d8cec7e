"""Everything in one process: with PIZZERIA_BUS=memory, handlers run in the web's own, after the commit."""

from domain import caps
from domain.events import catalogue
from domain.kitchen import Kitchen
from tasks.bus import inline
from tasks.bus.inline import Background
from tasks.bus.registry import Registry
from web.counter import Counter


def serve(counter: Counter) -> Background:
    """Deliver events in the background, on the counter's database, until it is stopped. Needs no broker or worker."""

    def beat() -> None:
        with counter.database.begin("tend") as work:
            Kitchen(counter.settings).fire(work)
            caps.forget(work.connection)

    registry = Registry.discover("tasks.handlers", counter.settings.retry_of)
    counter.settings.refuse_unknown_retries(registry.handlers)
    return inline.serve(counter.database, catalogue, registry, beat, counter.settings.keep_deliveries)
