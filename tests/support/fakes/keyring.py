"""Backends of the keyring library: one in memory, and one in a file for programs of their own."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keyring
from keyring.backend import KeyringBackend
from keyring.backends import fail
from keyring.errors import PasswordDeleteError

FILE = "KEYRING_OF_THE_TEST"
"""The variable that names the file of `FileKeyring`."""


class MemoryKeyring(KeyringBackend):
    """`before` is called before each call with its name, and may raise."""

    priority = 0.1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.entries: dict[tuple[str, str], str] = {}
        self.before: Callable[[str], None] = lambda call: None
        self.asked: list[str] = []

    def get_password(self, service: str, username: str) -> str | None:
        self._enter("get")
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._enter("set")
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._enter("delete")
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError

    def _enter(self, call: str) -> None:
        self.asked.append(call)
        self.before(call)


class FileKeyring(MemoryKeyring):
    """The same in a file, so that programs share it: PYTHON_KEYRING_BACKEND names this class."""

    @property
    def _path(self) -> Path:
        return Path(os.environ[FILE])

    def _enter(self, call: str) -> None:
        super()._enter(call)
        lines = json.loads(self._path.read_text()) if self._path.exists() else []
        self.entries = {(service, name): password for service, name, password in lines}

    def set_password(self, service: str, username: str, password: str) -> None:
        super().set_password(service, username, password)
        self._write()

    def delete_password(self, service: str, username: str) -> None:
        super().delete_password(service, username)
        self._write()

    def _write(self) -> None:
        self._path.write_text(json.dumps([[*names, password] for names, password in self.entries.items()]))


@contextmanager
def system_keyring() -> Iterator[MemoryKeyring]:
    """The keyring of this system for a block; afterwards it has none."""
    made = MemoryKeyring()
    keyring.set_keyring(made)
    try:
        yield made
    finally:
        keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]


class Stuck:
    """A `before` that holds a call of the keyring until `release`."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.released = threading.Event()

    def __call__(self, call: str) -> None:
        self.reached.set()
        self.released.wait()
