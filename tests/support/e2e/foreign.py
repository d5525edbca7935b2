"""Says fixed bytes and prints what it hears: `… foreign listen PORT HEX` answers, `… HOST PORT HEX` calls."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress


def connected(host: str, port: int) -> tuple[socket.socket, bytes]:
    """A connection and what was heard of it: who calls waits for the greeting, as the protocol has it."""
    if host != "listen":
        connection = socket.create_connection((host, port))
        return connection, connection.recv(28, socket.MSG_WAITALL)
    with socket.create_server(("", port)) as server:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        return server.accept()[0], b""


if __name__ == "__main__":
    host, port, says = sys.argv[1:]
    connection, heard = connected(host, int(port))
    with connection, suppress(ConnectionResetError):
        connection.sendall(bytes.fromhex(says))
        while block := connection.recv(4096):
            heard += block
    sys.stdout.write(f"{heard.hex() or 'nothing'}\n")
