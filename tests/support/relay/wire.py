"""A backplane within the test: it carries as NATS does, keeps a record, and can do worse than NATS.

Rules: messages arrive in their order, a turn of the loop later, at whoever listens on their subject; nobody
hears what it sent itself, and a message that found nobody tells the subject it named for replies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chat.relay.cluster.nats import Listener


class Wire:
    """What its ends have in common; `carried` is the record, `change` what the wire makes of a message."""

    def __init__(self) -> None:
        self.ends: list[Tap] = []
        self.carried: list[tuple[str, bytes]] = []
        self.change: Callable[[bytes], list[bytes]] = lambda payload: [payload]
        self.loop = asyncio.get_running_loop()

    def tap(self, listener: Listener) -> Tap:
        """Another end, connected."""
        self.ends.append(Tap(self, listener))
        return self.ends[-1]

    def carry(self, sender: Tap | None, subject: str, payload: bytes, reply: str) -> None:
        self.carried.append((subject, payload))
        takers = [tap for tap in self.ends if tap is not sender and tap.hears(subject)]
        for tap in takers:
            for each in self.change(payload):
                self.loop.call_soon(tap.listener.arrived, subject, each)
        if not takers and sender is not None and sender.hears(reply):
            self.loop.call_soon(sender.listener.nobody, reply)


class Tap:
    """One end of the wire."""

    def __init__(self, wire: Wire, listener: Listener) -> None:
        self._wire, self.listener = wire, listener
        self._subjects: set[str] = set()
        self._wakes: list[Callable[[], None]] = []
        self.is_connected, self.is_crowded, self.largest = True, False, 1 << 20

    def hears(self, subject: str) -> bool:
        above = subject.rpartition(".")[0]
        return self.is_connected and bool(self._subjects & {subject, f"{above}.*"})

    def subscribe(self, subject: str) -> None:
        self._subjects.add(subject)

    def unsubscribe(self, subject: str) -> None:
        self._subjects.discard(subject)

    def post(self, subject: str, payload: bytes, reply: str) -> None:
        if self.is_connected:
            self._wire.carry(self, subject, payload, reply)

    def tell(self, wake: Callable[[], None]) -> None:
        self._wakes.append(wake)

    def forget(self, wake: Callable[[], None]) -> None:
        self._wakes.remove(wake)

    def relieve(self) -> None:
        """It is crowded no more."""
        self.is_crowded = False
        wakes, self._wakes = self._wakes, []
        for wake in wakes:
            wake()
