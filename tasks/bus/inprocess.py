"""Buses for one process, with no database and no broker, on which a handler is tried with fakes; the shop uses none."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from domain.kernel.event import Event

Handle = Callable[[Any], None]
AsyncHandle = Callable[[Any], Awaitable[None]]


class EventBus:
    """Calls every subscriber of an event's type, one after the other."""

    def __init__(self) -> None:
        self._handlers: dict[type[Event], list[Handle]] = defaultdict(list)

    def subscribe(self, event_type: type[Event], handler: Handle) -> None:
        """Have a handler called for each event of this type."""
        self._handlers[event_type].append(handler)

    def publish(self, event: Event) -> None:
        """Call all handlers; those that fail keep no other from its turn. Raises ExceptionGroup of their errors."""
        errors = []
        for handler in self._handlers[type(event)]:
            try:
                handler(event)
            except Exception as error:
                errors.append(error)
        if errors:
            raise ExceptionGroup(f"{len(errors)} handlers of {type(event).__name__} failed", errors)


class AsyncEventBus:
    """Calls every subscriber of an event's type at the same time."""

    def __init__(self) -> None:
        self._handlers: dict[type[Event], list[AsyncHandle]] = defaultdict(list)

    def subscribe(self, event_type: type[Event], handler: AsyncHandle) -> None:
        """Have a handler awaited for each event of this type."""
        self._handlers[event_type].append(handler)

    async def publish(self, event: Event) -> None:
        """Await all handlers together; raises ExceptionGroup of those errors that there were, after all are done."""
        outcomes = await asyncio.gather(*(h(event) for h in self._handlers[type(event)]), return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if errors:
            raise ExceptionGroup(f"{len(errors)} handlers of {type(event).__name__} failed", errors)
