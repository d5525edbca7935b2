"""A peer that says fixed bytes and prints in hexadecimal what it hears, until the other side ends.

`python -m tests.support.e2e.foreign listen PORT HEX` answers one caller, `… call HOST PORT HEX` calls.
"""

from __future__ import annotations

import socket
import sys


def talk(connection: socket.socket, says: bytes, heard: bytes = b"") -> None:
    """Say it, then listen to the end."""
    connection.sendall(says)
    while block := _read(connection):
        heard += block
    sys.stdout.write(f"{heard.hex() or 'nothing'}\n")


def _read(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except ConnectionResetError:
        return b""


def listen(port: int, says: bytes) -> None:
    with socket.create_server(("", port)) as server:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        connection, _ = server.accept()
        with connection:
            talk(connection, says)


def call(host: str, port: int, says: bytes) -> None:
    """Wait for the other side's greeting first, as the protocol has it."""
    with socket.create_connection((host, port)) as connection:
        talk(connection, says, connection.recv(28, socket.MSG_WAITALL))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["listen", port, says]:
            listen(int(port), bytes.fromhex(says))
        case ["call", host, port, says]:
            call(host, int(port), bytes.fromhex(says))
