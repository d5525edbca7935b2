"""Which user runs the program at the other end of a unix socket."""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Final

_LOCAL: Final = 0  # SOL_LOCAL of macOS
_PEER_CREDENTIALS: Final = 1  # LOCAL_PEERCRED of macOS
_MACOS: Final = struct.Struct("=IIh2x16I")  # struct xucred
_MACOS_VERSION: Final = 0  # XUCRED_VERSION
_LINUX: Final = struct.Struct("=3i")  # struct ucred


def same_user(connection: socket.socket) -> bool:
    """Whether the other end runs as this user; true where the system does not tell."""
    user = user_of(connection)
    return user is None or user == os.geteuid()


def user_of(connection: socket.socket) -> int | None:
    """The number of the user at the other end, or None where the system does not tell.

    -1 is nobody: the other end is gone, or the system's answer is not understood.
    """
    try:
        if hasattr(socket, "SO_PEERCRED"):
            said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _LINUX.size)
            _, user, _ = _LINUX.unpack(said)
            return int(user)
        if sys.platform == "darwin":
            said = connection.getsockopt(_LOCAL, _PEER_CREDENTIALS, _MACOS.size)
            version, user, *_ = _MACOS.unpack(said)
            return int(user) if version == _MACOS_VERSION else -1
    except (OSError, struct.error):
        return -1
    return None
