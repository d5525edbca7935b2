"""Lets bytes arrive at a connection as the event loop does it."""

from __future__ import annotations

from chat.network.connection import TcpConnection


def arrive(connection: TcpConnection, data: bytes) -> None:
    """The system has put `data` into the connection's buffer."""
    connection.get_buffer(-1)[: len(data)] = data
    connection.buffer_updated(len(data))
