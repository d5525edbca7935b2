"""The engine's own transport on loopback: what a proof does is seen by nobody on the network.

Rules: only where it listens is another; it dials, and refuses, as ever.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Final

from chat.network.tcp import Place, TcpTransport

HERE: Final = "127.0.0.1"


class LoopbackTransport(TcpTransport):
    """Listens at 127.0.0.1 alone."""

    places: Sequence[Place] = ((socket.AF_INET, HERE),)

    def addresses(self) -> tuple[str, ...]:
        return (HERE,)
