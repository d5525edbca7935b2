"""A unix socket between the programs of one user: its mode and the kernel keep off everybody else."""

from __future__ import annotations

import os
import socket
import stat
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from chat.platforms.endpoint import CONNECT_WITHIN, InTheWay, PathTooLong, Stranger
from chat.platforms.peers import same_user

_NAME_BYTES_MAX: Final = 103
"""Bytes of a socket's name: 107 on Linux, 103 on macOS."""


class UnixEndpoint:
    """endpoint.Endpoint on a unix socket of mode 0600 at `path`."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            with suppress(FileNotFoundError):  # the profile's lock says that no engine listens on it
                if not stat.S_ISSOCK(path.lstat().st_mode):
                    raise InTheWay
                path.unlink()
            with _short(path) as name:
                self.socket.bind(name)
            # Nobody can connect before `listen`, so the mode is in force first. macOS refuses fchmod on a
            # socket, and a umask for the moment of the bind would reach the files of every other thread.
            path.chmod(0o600)
            self.socket.listen()
            self._path, self._inode = path, path.stat().st_ino
        except BaseException:
            self.socket.close()
            raise

    async def admits(self, reader: StreamReader, writer: StreamWriter) -> bool:
        return same_user(writer.get_extra_info("socket"))

    def remove(self) -> None:
        with suppress(OSError):  # the next engine replaces it
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


class UnixReached:
    """endpoint.Reached on a unix socket, whose other end the kernel names."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.settimeout(CONNECT_WITHIN)
            with _short(path) as name:
                self.socket.connect(name)
            if not same_user(self.socket):
                raise Stranger
            self.socket.setblocking(False)
        except BaseException:
            self.socket.close()
            raise

    async def is_own(self, reader: StreamReader, writer: StreamWriter) -> bool:
        return True


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name of `path` that fits into a socket's address, however deep the profile lies."""
    if len(os.fsencode(path)) <= _NAME_BYTES_MAX:
        yield str(path)
        return
    if Path("/proc/self/fd").is_dir():
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{folder}/{path.name}"
        finally:
            os.close(folder)
        return
    relative = os.path.relpath(path)
    if len(os.fsencode(relative)) > _NAME_BYTES_MAX:
        raise PathTooLong
    yield relative
