"""A terminal that calls out, in the way that PARLOUR_PLANTED names.

Rules: only for a network namespace without any way out; the addresses are of documentation's own ranges.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from unittest.mock import patch

from chat.tools.prove import terminal
from chat.tools.prove.tracing import tell_of_connections


def connect() -> None:
    """Python's own way."""
    with socket.socket() as calling:
        calling.connect(("192.0.2.1", 443))


def look_up() -> None:
    """A name, which somebody would be asked for."""
    socket.getaddrinfo("statistics.example", 443)


def connect_unseen() -> None:
    """A library's way, which Python's audit events do not know of; to an address that is local."""
    libc = ctypes.CDLL(None)
    calling = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    address = struct.pack("=H", socket.AF_INET) + struct.pack(">H", 9) + bytes((127, 0, 0, 1)) + bytes(8)
    libc.connect(calling, address, len(address))


WAYS: dict[str, Callable[[], None]] = {
    "connect": connect,
    "look_up": look_up,
    "connect_unseen": connect_unseen,
}


def and_call(say: Callable[[dict[str, object]], None]) -> None:
    """Once it is told of."""
    tell_of_connections(say)
    with suppress(OSError):
        WAYS[os.environ["PARLOUR_PLANTED"]]()


if __name__ == "__main__":
    with patch.object(terminal, "tell_of_connections", and_call):
        terminal.main()
