"""Loopback TCP between the programs of one user, where CPython has no unix sockets: Windows.

A file that only this user may read names the port and a secret. Each end proves that it knows the secret,
and neither sends it: whatever took over the port of a dead engine learns nothing that opens the next one.

Client: 32 random bytes. Server: 32 random bytes, HMAC-SHA-256(secret, "engine", both). Client:
HMAC-SHA-256(secret, "client", both). Other users cannot read what passes over loopback.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from chat.platforms.endpoint import CONNECT_WITHIN, InTheWay, Stranger
from chat.platforms.files import is_own, open_private, open_to_others

_HOST: Final = "127.0.0.1"
_SIZE: Final = 32
_PREFIX: Final = b"parlour-engine:"
_FILE_BYTES_MAX: Final = 256


class LoopbackEndpoint:
    """endpoint.Endpoint on a port of 127.0.0.1 that the system chooses."""

    def __init__(self, path: Path) -> None:
        self._path, self._secret = path, secrets.token_bytes(_SIZE)
        with suppress(FileNotFoundError):
            if _parsed(_content(path)) is None:
                raise InTheWay
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows: else another program could take it over
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            self.socket.bind((_HOST, 0))
            self.socket.listen()
            port = int(self.socket.getsockname()[1])
            self._said = b"%s%d:%s\n" % (_PREFIX, port, self._secret.hex().encode())
            _replace(path, self._said)
        except BaseException:
            self.socket.close()
            raise

    async def admits(self, reader: StreamReader, writer: StreamWriter) -> bool:
        try:
            both = await reader.readexactly(_SIZE) + (own := secrets.token_bytes(_SIZE))
            writer.write(own + _proof(self._secret, b"engine", both))
            answer = await reader.readexactly(_SIZE)
        except (IncompleteReadError, OSError):
            return False
        return hmac.compare_digest(answer, _proof(self._secret, b"client", both))

    def remove(self) -> None:
        with suppress(OSError):  # the next engine replaces it
            if _content(self._path) == self._said:
                self._path.unlink()


class LoopbackReached:
    """endpoint.Reached on the port that the file names."""

    def __init__(self, path: Path) -> None:
        found = _parsed(_content(path))
        if found is None:
            raise InTheWay
        self._secret = found.secret
        self.socket = socket.create_connection((_HOST, found.port), CONNECT_WITHIN)
        self.socket.setblocking(False)

    async def is_own(self, reader: StreamReader, writer: StreamWriter) -> bool:
        own = secrets.token_bytes(_SIZE)
        writer.write(own)
        try:
            both, proof = own + await reader.readexactly(_SIZE), await reader.readexactly(_SIZE)
        except IncompleteReadError:
            return False
        if not hmac.compare_digest(proof, _proof(self._secret, b"engine", both)):
            return False
        writer.write(_proof(self._secret, b"client", both))
        return True


class _Place(NamedTuple):
    port: int
    secret: bytes


def _proof(secret: bytes, role: bytes, both: bytes) -> bytes:
    return hmac.digest(secret, role + both, "sha256")


def _content(path: Path) -> bytes:
    """What the file says. Raises OSError, and Stranger where others may have written it."""
    with path.open("rb") as file:
        about = os.fstat(file.fileno())
        if open_to_others(about) or not is_own(about):
            raise Stranger
        return file.read(_FILE_BYTES_MAX)


def _parsed(content: bytes) -> _Place | None:
    port, _, secret = content.removeprefix(_PREFIX).rstrip(b"\n").partition(b":")
    if not content.startswith(_PREFIX) or not port.isdigit() or not 0 < int(port) < 65_536:
        return None
    try:
        found = bytes.fromhex(secret.decode("ascii"))
    except (UnicodeDecodeError, ValueError):
        return None
    return _Place(int(port), found) if len(found) == _SIZE else None


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f"{path.name}.next")
    unfinished.unlink(missing_ok=True)
    descriptor = open_private(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    try:
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
