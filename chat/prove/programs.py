"""Programs that a proof starts: none lives longer than the proof, each says what it says in JSON lines.

Rules: a program ends when its standard input does, so that one whose proof was killed ends too; one that does
not end is killed, by the handle and never by name.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import chat
from chat.prove.findings import CannotShow

PATIENCE: Final = 30.0
"""Seconds for a program to say what it should, however slow the machine."""
LEAVE_WITHIN: Final = 5.0

_PLACES: Final = (
    *("HOME", "TMPDIR", "TEMP", "TMP"),
    *(f"XDG_{kind}" for kind in ("DATA_HOME", "CONFIG_HOME", "STATE_HOME", "CACHE_HOME", "RUNTIME_DIR")),
)
"""Where programs put what they keep."""

Said = dict[str, Any]


class Program:
    """A running program; `said` keeps its lines."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.said: list[Said] = []
        self._news = asyncio.Condition()
        self._over = False
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, command: Sequence[str], home: Path | None = None) -> Program:
        """Run a command line, in a home of its own where one is given. Raises CannotShow."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env=environment(home),
                cwd=home,
                start_new_session=True,
            )
        except OSError as error:
            raise CannotShow(f"{command[0]} cannot be started ({error.strerror})") from None
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def expect(self, wanted: Callable[[Said], bool], what: str) -> Said:
        """The first line that is wanted, now or later. Raises CannotShow at its end or after PATIENCE."""
        try:
            async with asyncio.timeout(PATIENCE), self._news:
                await self._news.wait_for(lambda: self._over or any(map(wanted, self.said)))
        except TimeoutError:
            raise CannotShow(f"{what} did not come within {PATIENCE:.0f} seconds") from None
        for line in self.said:
            if wanted(line):
                return line
        raise CannotShow(f"{what} did not come: the program ended")

    def write(self, line: str) -> None:
        """Hand a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    async def stop(self) -> None:
        """End it by the end of its input; kill it if it does not end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), LEAVE_WITHIN)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            async with self._news:
                with suppress(ValueError):
                    self.said.append(json.loads(line))
                self._news.notify_all()
        async with self._news:
            self._over = True
            self._news.notify_all()


def python(module: str, *arguments: str) -> list[str]:
    """The line that runs a module of this same installation, wherever it was called from."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(home: Path | None) -> Mapping[str, str]:
    """What such a program finds: this installation first, no .pyc files wanted, perhaps a home."""
    root = str(Path(chat.__file__).parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    own = dict.fromkeys(_PLACES, str(home)) if home is not None else {}
    return {**os.environ, **own, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
