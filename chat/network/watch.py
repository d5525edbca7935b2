"""Noticing that the network has changed: an interface, an address, a cable, or a machine that slept.

Rules: what counts is the state, not the message that it may have changed (routers repeat themselves);
one change is told once, shortly after things are quiet; an idle network costs next to nothing.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Hashable
from typing import Final

from chat.network import netlink
from chat.network.interfaces import Kind, interfaces

SETTLE: Final = 0.2
"""Seconds to wait after a sign of change: one cable makes several."""
TICK: Final = 1.0
"""Seconds between looks at the clock, and, where the system does not tell, at the interfaces."""
SLEPT: Final = 3.0
"""Seconds that the machine's clock may run ahead of the loop's before it must have slept."""


def network_state() -> Hashable:
    """All that matters of the interfaces that are up: name, index, networks. Raises OSError."""
    return frozenset(
        (interface.name, interface.index, interface.networks)
        for interface in interfaces()
        if interface.up and interface.kind is not Kind.VIRTUAL
    )


def time_with_sleep() -> float:
    """Seconds on a clock that goes on while the machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time()


class NetworkWatch:
    """Calls `changed` in the event loop it was made in when the network is another than before.

    `state` and `clock` are what is compared, for tests.
    """

    def __init__(
        self,
        changed: Callable[[], None],
        *,
        state: Callable[[], Hashable] = network_state,
        clock: Callable[[], float] = time_with_sleep,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = changed
        self._read_state = state
        self._clock = clock
        self._state: Hashable = None
        self._signs: socket.socket | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._asleep = 0.0  # by how much the machine's clock is ahead of the loop's
        self._woke = False

    def start(self) -> None:
        """Begin: what is compared with is the state of now."""
        self._state = self._look()
        self._asleep = self._clock() - self._loop.time()
        self._subscribe()
        self._tick = self._loop.call_later(TICK, self._ticked)

    def close(self) -> None:
        """Stop; nothing is called any more."""
        for timer in (self._tick, self._settling):
            if timer is not None:
                timer.cancel()
        self._tick = self._settling = None
        if self._signs is not None:
            self._loop.remove_reader(self._signs)
            self._signs.close()
            self._signs = None

    def _subscribe(self) -> None:
        """Where the system tells of changes, listen; everywhere else `_ticked` looks each second."""
        if not netlink.AVAILABLE:
            return
        try:
            self._signs = netlink.subscribe()
        except OSError:
            return  # a sandbox may forbid it
        self._loop.add_reader(self._signs, self._told)

    def _told(self) -> None:
        if self._signs is not None:
            netlink.drain(self._signs)
        self._settle()

    def _ticked(self) -> None:
        self._tick = self._loop.call_later(TICK, self._ticked)
        ahead = self._clock() - self._loop.time()
        self._woke = self._woke or ahead - self._asleep > SLEPT
        self._asleep = ahead
        if self._woke or (self._signs is None and self._look() != self._state):
            self._settle()

    def _settle(self) -> None:
        # Not put off by further signs: they would otherwise be able to put it off for ever.
        if self._settling is None:
            self._settling = self._loop.call_later(SETTLE, self._settled)

    def _settled(self) -> None:
        self._settling = None
        state = self._look()
        if self._woke or state != self._state:
            self._woke, self._state = False, state
            self._changed()

    def _look(self) -> Hashable:
        """The state now; the last one if it cannot be read at this moment."""
        try:
            return self._read_state()
        except OSError:
            return self._state
