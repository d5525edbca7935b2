"""Tells of each attempt of this process to reach out, from Python's own audit events.

Rules: it comes before anything else is imported that could reach out, and cannot be taken away again; it
stops nothing, since what is looked at is what would happen without it.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any, Final

_CONNECTING: Final = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_LOOKING_UP: Final = {
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
    "socket.getnameinfo",
}
_STARTING: Final = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork", "os.forkpty"}
_FAMILIES: Final = {socket.AF_INET: "inet", socket.AF_INET6: "inet"}


def tell_of_connections(say: Callable[[dict[str, object]], None]) -> None:
    """From now on every connection, datagram, name that is looked up and program started is said."""

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CONNECTING and arguments[0].family in _FAMILIES:
            address = arguments[1]
            if address:
                say({"reached": address[0], "port": address[1]})
        elif event in _CONNECTING and arguments[0].family == getattr(socket, "AF_UNIX", None):
            if arguments[1]:
                say({"local": str(arguments[1])})
        elif event in _LOOKING_UP:
            say({"looked_up": str(arguments[0])})
        elif event in _STARTING:
            say({"started": event})

    sys.addaudithook(heard)
