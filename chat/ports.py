"""What the engine takes from outside as arguments: clock, randomness, transport, discovery.

Rules: only interfaces and the system's clock live here; tests hand in a virtual clock and an
in-memory network, and nothing in the engine reaches around these.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Hashable
from dataclasses import dataclass
from typing import Protocol

Random = Callable[[int], bytes]
"""`random(n)` returns n unpredictable bytes."""


class Clock(Protocol):
    """Two times: `monotonic` (seconds, for intervals) and `wall` (milliseconds of Unix time, for people)."""

    def monotonic(self) -> float: ...

    def wall(self) -> int: ...


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> int:
        return time.time_ns() // 1_000_000


class Connection(Protocol):
    """A byte stream to another terminal."""

    @property
    def peer(self) -> str:
        """The other end's IP address (with scope), for limits and for display.

        Empty for a circuit through a relay, which tells nobody's.
        """

    async def read(self) -> bytes:
        """Some bytes (at most 65,536), or b"" at the end of the stream or when it broke."""

    async def write(self, data: bytes) -> None:
        """Hand bytes over, waiting while the other side is slow. Raises ConnectionError when broken."""

    def close(self) -> None:
        """End the stream; a pending read returns b""."""


class Listener(Protocol):
    """An open listening port."""

    @property
    def port(self) -> int: ...

    async def close(self) -> None: ...


class RelayPlace(Hashable, Protocol):
    """The place of a relay (protocol.relay.rendezvous): an IP address or, if `is_name`, a DNS name."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def is_name(self) -> bool: ...


class Transport(Protocol):
    """The one way to open or accept connections."""

    async def listen(self, port: int, accept: Callable[[Connection], Awaitable[None]]) -> Listener:
        """Listen on every local address; `accept` runs as a task a connection. Raises OSError."""

    async def connect(self, host: str, port: int, timeout: float) -> Connection:
        """Connect to a local address. Raises OSError (also TimeoutError, and NotLocal, an OSError)."""

    def name_relays(self, relays: Collection[RelayPlace]) -> None:
        """These are the relays that the person named, in place of those before."""

    async def connect_relay(self, relay: RelayPlace, timeout: float) -> Connection:
        """Connect to a relay that is named. Raises OSError (also TimeoutError, and NotNamed, an OSError)."""

    def addresses(self) -> tuple[str, ...]:
        """This machine's local addresses (no port, no loopback unless there is nothing else)."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is announced, or was found: `slots` are 32, 64 or 128 values of 8 bytes (SPEC §13).

    `name` is the name shown to strangers, empty when not visible (peer text when found).
    """

    instance: str
    addresses: tuple[str, ...]
    port: int
    slots: tuple[bytes, ...]
    name: str = ""


class DiscoveryEvents(Protocol):
    """Who hears of announcements; called in the event loop."""

    def found(self, announcement: Announcement) -> None:
        """An announcement is new or has changed."""

    def lost(self, instance: str) -> None:
        """An announcement was withdrawn."""

    def network_changed(self) -> None:
        """An interface or address came or went: dial and announce again."""


class Discovery(Protocol):
    """Announcing and finding terminals on the local network."""

    async def start(self, events: DiscoveryEvents) -> None: ...

    async def announce(self, announcement: Announcement | None) -> None:
        """Replace what is announced (a goodbye for the old instance), or withdraw it. Raises OSError."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that an engine takes from outside."""

    clock: Clock
    random: Random
    transport: Transport
    discovery: Discovery
