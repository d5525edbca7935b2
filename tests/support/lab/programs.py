"""Programs that run next to a test: a wait ends with a line, the end of the output or a deadline."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Self


class Silent(AssertionError):
    """The program did not say in time what the test waits for."""


class Program:
    """A running command whose standard output is read by lines; `said` and `complained` keep both streams."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=folder
        )
        self.said: list[str] = []
        self.complained: list[str] = []
        self._fresh: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        complain = partial(self.complained.extend, _lines(self.process.stderr))
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._hear, complain)]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_for(self, wanted: Callable[[str], bool], seconds: float = 10) -> str:
        """The next line not yet waited for that is `wanted`; lines before it are passed over.

        Raises Silent at the end of the output or after `seconds`.
        """
        deadline = Deadline(seconds)
        with suppress(queue.Empty):
            while (line := self._fresh.get(timeout=deadline.left())) is not None:
                if wanted(line):
                    return line
        raise Silent(f"waited up to {seconds} s in vain.\n{self._account()}")

    def line(self, seconds: float = 10) -> str:
        """The next line. Raises Silent."""
        return self.wait_for(lambda line: True, seconds)

    def first(self, seconds: float = 10) -> str | None:
        """The next line, None when the output has ended without one. Raises Silent after `seconds`."""
        try:
            return self._fresh.get(timeout=seconds)
        except queue.Empty:
            raise Silent(f"nothing within {seconds} s.\n{self._account()}") from None

    def write(self, text: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def end_input(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    def wait_exit(self, seconds: float = 10) -> int:
        """Its exit status, once it has ended and all it said was read. Raises Silent."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Silent(f"did not end within {seconds} s.\n{self._account()}") from None
        for reader in self._readers:
            reader.join()
        return status

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it if it still runs, and release everything."""
        self.kill()
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream
            with suppress(BrokenPipeError):  # input that the program never read dies with it
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hear(self) -> None:
        """Keep each line, and tell those who wait of it; None stands for the end."""
        for line in _lines(self.process.stdout):
            self.said.append(line)
            self._fresh.put(line)
        self._fresh.put(None)

    def _account(self) -> str:
        said, complained = "\n".join(self.said[-20:]), "\n".join(self.complained[-20:])
        return f"exit status: {self.process.poll()}\nit said:\n{said}\nand complained:\n{complained}"


def _lines(stream: IO[str] | None) -> Iterator[str]:
    assert stream
    for line in stream:
        yield line.rstrip("\n")


class Deadline:
    """A moment `seconds` from now. A deadline ends a test that hangs; no test passes because of one."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left, 0 when it has passed."""
        return max(0.0, self._end - time.monotonic())
