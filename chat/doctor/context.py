"""What a diagnosis starts from: what the engine knows, or what is known without one.

Rules: plain values and calls, so that the doctor runs with and without an engine; of a contact nothing but
where it was, so that what the doctor says can be shown to whoever helps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from chat.network.tcp import TcpTransport
from chat.ports import Clock, Connection, SystemClock, Transport

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Sought:
    """A terminal that should be reached, and where it may be; never whose it is.

    `heard`: it announces itself there now. `linked`: a link with it is open from there. `is_it`: whether
    who greets there is this very terminal; None: there is no way to tell.
    """

    places: tuple[Place, ...]
    heard: bool = False
    linked: bool = False
    is_it: Callable[[], Awaitable[bool]] | None = None


@dataclass(frozen=True, slots=True)
class Relay:
    """A relay that this person named: HOST:PORT, its key (32 bytes), and how to connect within seconds.

    `connect` raises OSError.
    """

    name: str
    key: bytes
    connect: Callable[[float], Awaitable[Connection]]


@dataclass(frozen=True, slots=True)
class Context:
    """`port`: the profile's (0: it has none yet). `listening`: an engine of this profile listens on it.

    `heard`: how many other terminals discovery knows now (None: no engine). `days_ahead`: by how many days
    the clock of a contact that announces itself is ahead of this one (None: there is none). `began` has the
    addresses of this machine when the engine began, `promised` those in invitations that can still be used.
    `database` tells what is wrong with it in one line, or nothing; None while the profile is locked.
    """

    port: int
    listening: bool
    profile: Path
    visible: bool = False
    heard: int | None = None
    days_ahead: int | None = None
    sought: tuple[Sought, ...] = ()
    relays: tuple[Relay, ...] = ()
    began: tuple[str, ...] = ()
    promised: tuple[str, ...] = ()
    database: Callable[[], Awaitable[str]] | None = None
    transport: Transport = field(default_factory=TcpTransport)
    clock: Clock = field(default_factory=SystemClock)
