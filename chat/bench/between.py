"""What stands between two terminals while a relay is measured: each a program of its own, on loopback.

Rules: our relay is the one that people run, with its confinement and its limits; what is lacking is told and
never guessed; every program is gone with its block.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Final, NamedTuple

from chat.bench.report import NotTaken
from protocol.primitives import system_random
from protocol.relay_address import RelayAddress, parse_relay
from protocol.relay_states import RelayEvent
from protocol.relay_terminal import RelayTerminal

PATIENCE: Final = 30.0
"""Seconds after which a program that does not answer is no measurement any more."""

Way = tuple[socket.socket, socket.socket]
"""Two ends: what is sent into the first comes out of the second."""

_READY: Final = re.compile(r"client connections on 127\.0\.0\.1:(\d+)")


@contextmanager
def parlour() -> Iterator[Way]:
    """Through `parlour relay`, after its rendezvous."""
    with running("-m", "chat.cli", "--json", "relay", "--listen", "127.0.0.1:0") as program:
        address = parse_relay(json.loads(program.said.readline())["relay"])
        with _both(Guest(address), Guest(address)) as (dialler, waiter):
            token = system_random(16)
            waiter.wait([token])
            dialler.dial(token)
            waiter.hear()
            dialler.hear()
            yield dialler.socket, waiter.socket


@contextmanager
def splice() -> Iterator[Way]:
    """Through a bare asyncio splice."""
    with running("-m", "chat.bench.splice") as program:
        port = int(program.said.readline())
        with connected(port) as one, connected(port) as other:
            yield one, other


@contextmanager
def direct() -> Iterator[Way]:
    """Through nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server, connected(server.getsockname()[1]) as one:
        other, _ = server.accept()
        with _tuned(other):
            yield one, other


class Server(NamedTuple):
    """A nats-server on loopback."""

    pid: int
    port: int


@contextmanager
def nats_server() -> Iterator[Server]:
    """One of our own, without anything that stores. Raises NotTaken."""
    program = shutil.which("nats-server")
    if program is None:
        raise NotTaken("nats-server is not installed")
    command = [program, "-a", "127.0.0.1", "-p", "-1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            port = next((found[1] for line in process.stderr if (found := _READY.search(line))), None)
            if port is None:
                raise NotTaken("nats-server does not start")
            yield Server(process.pid, int(port))
        finally:
            process.terminate()


class Guest:
    """A terminal at our relay, as far as the circuit; the relay's address is all that it knows."""

    def __init__(self, address: RelayAddress, source: str = "127.0.0.1") -> None:
        self.socket = _tuned(socket.create_connection((address.host, address.port), PATIENCE, (source, 0)))
        self._end = RelayTerminal(address.key, 0.0)
        self.hear()

    def wait(self, tokens: Sequence[bytes]) -> None:
        """Wait on tokens, until they are held."""
        self._end.wait(tokens, 0.0)
        self.hear()

    def dial(self, token: bytes) -> None:
        self._end.dial(token, 0.0)
        self._flush()

    def hear(self) -> RelayEvent:
        """What the relay says next, which is answered where it has to be. ConnectionError at the end."""
        self._flush()
        events: list[RelayEvent] = []
        while not events:
            data = self.socket.recv(self._end.wanted)
            if not data:
                raise ConnectionError("the relay has ended the connection")
            events = self._end.receive(data, 0.0)
            self._flush()
        return events[0]

    def _flush(self) -> None:
        self.socket.sendall(self._end.data_to_send())


@contextmanager
def _both(one: Guest, other: Guest) -> Iterator[tuple[Guest, Guest]]:
    with one.socket, other.socket:
        yield one, other


class Program(NamedTuple):
    """A Python program that runs; `said` is its output."""

    pid: int
    said: IO[str]


@contextmanager
def running(*arguments: str) -> Iterator[Program]:
    """A Python program until the end of the block."""
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, text=True) as process:
        try:
            assert process.stdout
            yield Program(process.pid, process.stdout)
        finally:
            process.terminate()


def connected(port: int, source: str = "127.0.0.1") -> socket.socket:
    """A connection to a program of ours, from an address of this machine."""
    return _tuned(socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0)))


def _tuned(end: socket.socket) -> socket.socket:
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end.settimeout(PATIENCE)
    return end
