"""Events from the engine to any number of listeners.

Rules: publishing never waits; a listener hears everything from the moment it asked, in order, and the
stream ends after `Closed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from chat.interface import Closed, Event


class Subscription(AsyncIterator[Event]):
    """One listener's stream."""

    def __init__(self, hub: EventBus) -> None:
        self._hub = hub
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        self._ended = False

    async def __anext__(self) -> Event:
        if self._ended:
            raise StopAsyncIteration
        event = await self.queue.get()
        if isinstance(event, Closed):
            self._ended = True
            self._hub.forget(self)
        return event


class EventBus:
    """Hands every event to every listener; after `Closed` new listeners hear just that."""

    def __init__(self) -> None:
        self._listeners: list[Subscription] = []
        self._closed: Closed | None = None

    def subscribe(self) -> Subscription:
        subscription = Subscription(self)
        if self._closed is not None:
            subscription.queue.put_nowait(self._closed)
        self._listeners.append(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        if subscription in self._listeners:
            self._listeners.remove(subscription)

    def publish(self, event: Event) -> None:
        if isinstance(event, Closed):
            if self._closed is not None:
                return
            self._closed = event
        for listener in list(self._listeners):
            listener.queue.put_nowait(event)
