"""Terminals at a relay that runs as a process of its own, over real sockets and without an engine.

Rules: every wait has a deadline; what a test searches for in the relay is made here, outside of it.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self, TypeVar

from protocol.relay.rendezvous import RelayAddress, parse_relay
from protocol.relay.states import RelayEnded, RelayEvent, Welcomed
from protocol.relay.terminal_end import RelayTerminal
from tests.architecture.imports import ROOT
from tests.support.lab.programs import Program

PATIENCE = 20.0

Event = TypeVar("Event")


class Ended(Exception):
    """The relay ended the connection; `reason` is the protocol's."""

    def __init__(self, reason: RelayEnded) -> None:
        super().__init__(str(reason))
        self.reason = reason.reason


def command(*arguments: str, before: Sequence[str] = (), planted: str = "") -> list[str]:
    """The line that runs a relay on a free port of this machine; `planted` is a fault in Python."""
    program = (
        ["-c", f"{planted}\nfrom chat.cli.__main__ import main\nmain()"] if planted else ["-m", "chat.cli"]
    )
    return [*before, sys.executable, *program, "relay", "--listen", "127.0.0.1:0", *arguments]


class Relay(Program):
    """A relay; `address` is what it said, `told` all that it printed before it was ready."""

    def __init__(self, *arguments: str, before: Sequence[str] = (), planted: str = "") -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        super().__init__(command(*arguments, before=before, planted=planted), environment=environment)
        self._terminals: list[Terminal] = []
        self.address = parse_relay(self.line(PATIENCE))
        self.wait_for(lambda line: "written to any file" in line, PATIENCE)

    def terminal(self, source: str = "127.0.0.1") -> Terminal:
        """A terminal that connects from an address; it is closed with the relay."""
        self._terminals.append(Terminal(self.address, source))
        return self._terminals[-1]

    def close(self) -> None:
        for each in self._terminals:
            each.close()
        super().close()

    def end(self) -> int:
        """End it properly; its exit status."""
        self.process.terminate()
        return self.wait_exit(PATIENCE)


class Terminal:
    """A terminal's connection to a relay."""

    def __init__(self, address: RelayAddress, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((address.host, address.port), PATIENCE, (source, 0))
        self._end = RelayTerminal(address.key, time.monotonic())
        self._events: list[RelayEvent] = []
        self.wire = bytearray()  # what passed either way

    def welcomed(self) -> Self:
        """Once the handshake is done."""
        self.expect(Welcomed)
        return self

    def wait(self, *tokens: bytes) -> Self:
        """Wait on tokens; the answer is not waited for."""
        self._end.wait(tokens, time.monotonic())
        self.flush()
        return self

    def dial(self, token: bytes, place: int = 0) -> Self:
        """Dial; the answer is not waited for."""
        self._end.dial(token, time.monotonic(), place)
        self.flush()
        return self

    def expect(self, kind: type[Event]) -> Event:
        """The next event, which is of this kind. Raises Ended."""
        while not self._events:
            self.flush()
            data = self._read()
            self._events += self._end.receive(data, time.monotonic()) if data else self._end.end_of_stream()
        self.flush()
        event = self._events.pop(0)
        if isinstance(event, RelayEnded) and kind is not RelayEnded:
            raise Ended(event)
        assert isinstance(event, kind), event
        return event

    def silent(self) -> bool:
        """Whether nothing comes for half a second."""
        self.socket.settimeout(0.5)
        try:
            return not self.socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)

    def _read(self) -> bytes:
        try:
            data = self.socket.recv(self._end.wanted or 1)
        except ConnectionResetError:
            return b""
        self.wire += data
        return data

    def flush(self) -> None:
        if data := self._end.data_to_send():
            self.say(data)

    def say(self, data: bytes) -> None:
        """Bytes as they are."""
        self.wire += data
        self.socket.sendall(data)

    def hear(self, size: int) -> bytes:
        """Exactly so many bytes of a circuit, or fewer at its end."""
        data = receive(self.socket, size)
        self.wire += data
        return data

    def close(self) -> None:
        self.socket.close()


def receive(end: socket.socket, size: int) -> bytes:
    """Exactly so many bytes, or fewer at the end of the stream."""
    data = bytearray()
    while len(data) < size and (part := end.recv(size - len(data))):
        data += part
    return bytes(data)


def eventually(holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Ask again until it holds. Raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"in vain: {what}"


@contextmanager
def relay(*arguments: str, before: Sequence[str] = (), planted: str = "") -> Iterator[Relay]:
    """A relay that is gone with the block."""
    running = Relay(*arguments, before=before, planted=planted)
    with running:
        yield running
