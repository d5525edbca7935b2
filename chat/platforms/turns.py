"""Whose turn it is among the programs of a profile, by a lock on a file."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from chat.platforms import locks


class FileTurn:
    """`chat.notifying.Turn` by a lock on the file at `path`, which the system releases with its holder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def take(self) -> None:
        if self._descriptor != -1:
            return
        with suppress(OSError):
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            locks.take(self._descriptor, shared=True)

    def give_back(self) -> None:
        if self._descriptor != -1:
            locks.release(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def is_taken(self) -> bool:
        try:
            descriptor = os.open(self._path, os.O_RDWR)
        except OSError:
            return False
        try:
            locks.take(descriptor)
        except OSError:
            return True
        else:
            locks.release(descriptor)
            return False
        finally:
            os.close(descriptor)
