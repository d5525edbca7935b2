"""What a way between the programs of one user on one machine is, whatever it consists of."""

from __future__ import annotations

from asyncio import StreamReader, StreamWriter
from socket import socket
from typing import Final, Protocol

CONNECT_WITHIN: Final = 2.0
"""Seconds in which a program reaches another one on the same machine."""


class InTheWay(OSError):
    """A file that no endpoint made has the endpoint's name."""


class Stranger(OSError):
    """The endpoint is of another user."""


class PathTooLong(OSError):
    """The system has no name for a socket at this path."""


class Endpoint(Protocol):
    """A listening socket, and a file that leads the programs of this user to it."""

    socket: socket

    async def admits(self, reader: StreamReader, writer: StreamWriter) -> bool:
        """Whether a program of this user has connected. The caller bounds how many wait, and how long."""

    def remove(self) -> None:
        """Remove the file, but not that of the next endpoint. The caller closes the socket."""


class Reached(Protocol):
    """A connection to an endpoint, not blocking."""

    socket: socket

    async def is_own(self, reader: StreamReader, writer: StreamWriter) -> bool:
        """Whether a program of this user listens; it learns the same of this one. The caller bounds the time.

        Called before anything else passes. Raises OSError.
        """
