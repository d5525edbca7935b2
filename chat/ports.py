"""What the engine takes from outside: clock, randomness, transport, discovery. Tests pass virtual ones."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Hashable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from chat.platforms import clocks

Random = Callable[[int], bytes]
"""`random(n)` returns n unpredictable bytes."""


class Clock(Protocol):
    """`monotonic`: seconds, for intervals. `wall`: milliseconds of Unix time, for people.

    `boot`: an id of this start of the machine, empty if it has none, and the milliseconds since then; time in
    which the machine sleeps counts, and nobody sets it.
    """

    def monotonic(self) -> float: ...

    def wall(self) -> int: ...

    def boot(self) -> tuple[str, int]: ...


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> int:
        return time.time_ns() // 1_000_000

    def boot(self) -> tuple[str, int]:
        return _boot_id(), clocks.since_boot_ns() // 1_000_000


@cache
def _boot_id() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


class Connection(Protocol):
    """A byte stream to another terminal."""

    @property
    def peer(self) -> str:
        """The other end's IP address (with scope); empty for a circuit through a relay."""

    async def read(self) -> bytes:
        """Some bytes (at most 524,288), or b"" when the stream has ended."""

    async def write(self, data: bytes) -> None:
        """Write bytes, waiting while the other side is slow. Raises ConnectionError."""

    def widen(self) -> None:
        """Let more bytes arrive at once from now on: the other end is known."""

    def hold(self, on: bool) -> None:
        """Let what arrives wait in the system from now on, or not any longer."""

    def close(self) -> None:
        """End the stream; a pending read returns b""."""


class Listener(Protocol):
    """An open listening port."""

    @property
    def port(self) -> int: ...

    async def close(self) -> None: ...


class RelayPlace(Hashable, Protocol):
    """A relay's address (protocol.relay.rendezvous): an IP address or, if `is_name`, a DNS name."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def is_name(self) -> bool: ...


class Transport(Protocol):
    """Opens and accepts all connections."""

    async def listen(self, port: int, accept: Callable[[Connection], Awaitable[None]]) -> Listener:
        """Listen on every local address; `accept` runs as one task per connection. Raises OSError."""

    async def connect(self, host: str, port: int, timeout: float) -> Connection:
        """Connect to a local address. Raises OSError (also TimeoutError, and NotLocal, an OSError)."""

    def name_relays(self, relays: Collection[RelayPlace]) -> None:
        """Allow connections to exactly these relays from now on."""

    async def connect_relay(self, relay: RelayPlace, timeout: float) -> Connection:
        """Connect to a named relay. Raises OSError (also TimeoutError, and NotNamed, an OSError)."""

    def addresses(self) -> tuple[str, ...]:
        """This machine's local addresses, loopback only without others."""


class Announcement(Struct, frozen=True):
    """An announcement, own or found. `slots`: 32, 64 or 128 values of 8 bytes (SPEC §13).

    `name`: shown to strangers, empty if not visible; of others it is untrusted text.
    """

    instance: str
    addresses: tuple[str, ...]
    port: int
    slots: tuple[bytes, ...]
    name: str = ""


class DiscoveryEvents(Protocol):
    """Takes announcements, in the event loop."""

    def found(self, announcement: Announcement) -> None:
        """An announcement is new or has changed."""

    def lost(self, instance: str) -> None:
        """An announcement was withdrawn."""

    def network_changed(self) -> None:
        """An interface or address was added or removed."""


class Discovery(Protocol):
    """Announces and finds terminals on the local network."""

    async def start(self, events: DiscoveryEvents) -> None: ...

    async def announce(self, announcement: Announcement | None) -> None:
        """Replace the announcement, or withdraw it. Raises OSError."""

    async def close(self) -> None: ...


def _nothing() -> None:
    """What an engine of tests does."""


class Ports(Struct, frozen=True):
    """All that an engine takes from outside.

    `tidy` is called every few seconds, when the engine is awake anyway.
    """

    clock: Clock
    random: Random
    transport: Transport
    discovery: Discovery
    tidy: Callable[[], None] = _nothing
