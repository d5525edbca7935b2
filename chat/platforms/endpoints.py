"""Chooses what the programs of one user meet on: a unix socket, or loopback where CPython has none."""

from __future__ import annotations

import socket
from pathlib import Path

from chat.platforms.endpoint import Endpoint, Reached


def listen(path: Path) -> Endpoint:
    """Listen in the place of an endpoint that a dead program left; the caller holds a lock on that.

    Raises OSError, of it InTheWay and PathTooLong.
    """
    if hasattr(socket, "AF_UNIX"):
        from chat.platforms.unix_sockets import UnixEndpoint

        return UnixEndpoint(path)
    from chat.platforms.loopback import LoopbackEndpoint

    return LoopbackEndpoint(path)


def connect(path: Path) -> Reached:
    """Connect to the endpoint at `path`. Raises OSError, of it InTheWay, Stranger and PathTooLong."""
    if hasattr(socket, "AF_UNIX"):
        from chat.platforms.unix_sockets import UnixReached

        return UnixReached(path)
    from chat.platforms.loopback import LoopbackReached

    return LoopbackReached(path)
