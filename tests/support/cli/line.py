"""Runs one line of the command in this process, with a fake behind its door and a pipe as its input."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chat.cli.__main__ import run, show
from chat.cli.session import Call
from chat.cli.terminal import Lines
from chat.interface import Door, DoorState
from tests.support.fakes.messenger import FakeDoor, FakeMessenger

PASSPHRASE = "correct horse"


class Played(FakeMessenger):
    """A fake in which something happens after the first call of a method."""

    def __init__(self, name: str = "Ann", *, prompt: bool = True) -> None:
        super().__init__(name, prompt=prompt)
        self.after: dict[str, Callable[[], object]] = {}

    def _enter(self, method: str, *arguments: object) -> None:
        super()._enter(method, *arguments)
        if (happens := self.after.pop(method, None)) is not None:
            asyncio.get_running_loop().call_soon(happens)


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def failure(self) -> str:
        """The one line of a failure."""
        (line,) = self.err.splitlines()
        return line

    def failed(self, status: int) -> str:
        """The one line of a failure that has this status and printed no result."""
        assert (self.status, self.out) == (status, ""), self
        return self.failure


class Line:
    """A command line with a fake profile, ready to be run."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        self.messenger = Played()
        self.door = FakeDoor(self.messenger, state=DoorState.LOCKED, passphrase=PASSPHRASE)
        self.file = folder / "passphrase"
        self.file.touch(0o600)
        self.file.write_text(PASSPHRASE + "\n")
        self.opened: list[tuple[Path, int | None]] = []
        self._capture = capture

    def run(self, *arguments: str, typed: str = "", passphrase: bool = True) -> Outcome:
        """Run the line; `typed` is standard input, to its end."""
        given = ["--passphrase-file", str(self.file)] if passphrase else []
        self._capture.readouterr()
        with piped(typed) as descriptor:
            status = run([*arguments, *given], Call(self._open, show, Lines(descriptor)))
        return Outcome(status, *self._capture.readouterr())

    def _open(self, profile: Path, port: int | None) -> Door:
        self.opened.append((profile, port))
        return self.door


@contextmanager
def piped(text: str) -> Iterator[int]:
    """A descriptor from which `text` can be read, and then its end."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    try:
        yield reading
    finally:
        os.close(reading)
