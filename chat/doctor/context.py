"""What a diagnosis starts from: what the engine knows, or what is known without one.

Rules: plain values and calls, so that the doctor runs with and without an engine; nothing of a contact.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from chat.network.tcp import TcpTransport
from chat.ports import Clock, SystemClock, Transport


@dataclass(frozen=True, slots=True)
class Context:
    """`port`: the profile's (0: it has none yet). `listening`: an engine of this profile listens on it.

    `heard`: how many other terminals discovery knows now (None: no engine). `database` tells what is
    wrong with it in one line, or nothing; None while the profile is locked.
    """

    port: int
    listening: bool
    profile: Path
    visible: bool = False
    heard: int | None = None
    database: Callable[[], Awaitable[str]] | None = None
    transport: Transport = field(default_factory=TcpTransport)
    clock: Clock = field(default_factory=SystemClock)
