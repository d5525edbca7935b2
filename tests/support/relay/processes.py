"""Relays, NATS nodes and terminals as processes and real sockets; the program of `make relay-cluster`."""

from __future__ import annotations

import os
import random
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self, TypeVar

from protocol.relay.rendezvous import RelayAddress, parse_relay
from protocol.relay.states import RelayEnded, RelayEvent, WaitBegun, WasAbsent, WasCalled, WasJoined, Welcomed
from protocol.relay.terminal_end import RelayTerminal
from tests.architecture.imports import ROOT
from tests.support.lab.programs import Program
from tests.support.machine import needs_nats

PATIENCE = 20.0

Event = TypeVar("Event")


class Ended(Exception):
    """The relay ended the connection; `reason` is the protocol's."""

    def __init__(self, reason: RelayEnded) -> None:
        super().__init__(str(reason))
        self.reason = reason.reason


def command(*arguments: str, before: Sequence[str] = (), planted: str = "") -> list[str]:
    """The line that runs a relay on a free port of this machine; `planted` is a fault in Python."""
    fault = ["-c", f"{planted}\nfrom chat.cli.__main__ import main\nmain()"]
    program = fault if planted else ["-m", "chat.cli"]
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
    with Relay(*arguments, before=before, planted=planted) as running:
        yield running


class Node(Program):
    """One node; `url` is where relays reach it."""

    def __init__(
        self, name: str, ports: tuple[int, int], others: list[int], before: Sequence[str] = ()
    ) -> None:
        """A node of its own where the second port, of its routes, is 0."""
        client, route = ports
        command = ["nats-server", "--addr", "127.0.0.1", "--port", str(client), "--name", name]
        if route:
            command += ["--cluster_name", "parlour", "--cluster", f"nats://127.0.0.1:{route}"]
        if others:
            command += ["--routes", ",".join(f"nats://127.0.0.1:{each}" for each in others)]
        super().__init__(["sh", "-c", 'exec "$@" 2>&1', "nats", *before, *command])
        self.url = f"nats://127.0.0.1:{client}"

    def ready(self) -> None:
        self.wait_for(lambda line: "Server is ready" in line, PATIENCE)


def free_ports(number: int) -> list[int]:
    """So many ports that nobody has, below those that the kernel gives to a program that asks for any."""
    found: set[int] = set()
    while len(found) < number:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.add(port)
    return list(found)


@contextmanager
def nodes(number: int) -> Iterator[list[Node]]:
    needs_nats()
    ports = free_ports(2 * number)
    routes = ports[number:]
    with ExitStack() as stack:
        made = [
            stack.enter_context(Node(f"node{index}", (client, routes[index]), routes[:index]))
            for index, client in enumerate(ports[:number])
        ]
        for node in made:
            node.ready()
        yield made


TRIES = 16
"""Dials of one connection."""


class Member(Relay):
    """A relay of a cluster, whose metrics can be asked for."""

    @property
    def page(self) -> str:
        (line,) = [line for line in self.said if "http://" in line]
        return line.split()[-1]

    def count(self, name: str) -> int:
        """A number of its metrics, 0 where it is not there."""
        with urllib.request.urlopen(self.page, timeout=PATIENCE) as answer:
            lines = answer.read().decode().splitlines()
        return next((int(line.split()[-1]) for line in lines if line.startswith(f"parlour_relay_{name} ")), 0)

    def on_nats(self, connected: bool = True) -> None:
        """Once it is, or is not, on the backplane."""
        eventually(lambda: self.count("backplane_connected") == connected, f"on NATS: {connected}")


def shared_key(folder: Path) -> Path:
    path = folder / "relay.key"
    command = [sys.executable, "-m", "chat.cli", "relay", "--new-key", str(path)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return path


def options(key: Path, *urls: str) -> list[str]:
    named = [word for url in urls for word in ("--nats", url)]
    return ["--key-file", str(key), "--metrics", "127.0.0.1:0", "--examinable", *named]


@contextmanager
def member(key: Path, *urls: str, before: Sequence[str] = ()) -> Iterator[Member]:
    with Member(*options(key, *urls), before=before) as running:
        yield running


@contextmanager
def cluster(
    folder: Path, say: Callable[[str], None] = lambda line: None
) -> Iterator[tuple[list[Node], list[Member]]]:
    """Three NATS nodes and three relays: each begins at its own node, and knows the others."""
    say("Starting 3 NATS nodes …")
    key = shared_key(folder)
    with nodes(3) as running, ExitStack() as stack:
        urls = [node.url for node in running]
        relays: list[Member] = []
        for place in range(3):
            say(f"Starting relay {place + 1} of 3 …")
            relays.append(stack.enter_context(member(key, *urls[place:], *urls[:place])))
        for each in relays:
            each.on_nats()
        yield running, relays


def admitted(at: Relay, source: str = "127.0.0.1") -> Terminal:
    """A terminal after its handshake, for which it connects again while the relay bounds its address."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return at.terminal(source).welcomed()
        except (Ended, ConnectionError):
            if time.monotonic() > deadline:
                raise


def waiting(at: Relay, token: bytes, source: str = "127.0.0.1") -> Terminal:
    waiter = admitted(at, source).wait(token)
    waiter.expect(WaitBegun)
    return waiter


def _first(*terminals: Terminal) -> Terminal | None:
    """Who hears something first."""
    with selectors.DefaultSelector() as selector:
        for terminal in terminals:
            selector.register(terminal.socket, selectors.EVENT_READ, terminal)
        return next((key.data for key, _ in selector.select(PATIENCE)), None)


def meet(
    waiter: Terminal, dialling: Relay, token: bytes, source: str = "127.0.0.1"
) -> tuple[Terminal, WasJoined]:
    """A dialler at a relay, joined with a terminal that waits at another.

    That somebody waits there is known everywhere a moment later: a dialler that receives *absent* asks again.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        dialler = admitted(dialling, source)
        for _ in range(TRIES):
            dialler.dial(token)
            if _first(waiter, dialler) is waiter:
                waiter.expect(WasCalled)
                return dialler, dialler.expect(WasJoined)
            dialler.expect(WasAbsent)
        dialler.close()
    raise AssertionError("in vain: nobody was found at another relay")


NO_NATS = "nats-server is not installed (Debian, Ubuntu: apt-get install nats-server)"


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a program of the terminal


def show(folder: Path) -> None:
    """Run a cluster, and say how it is reached, until it is interrupted."""
    with cluster(folder, say=say) as (running, relays):
        say("\nThe relays; name any of them with 'parlour relays add', another one for each person:")
        for each in relays:
            say(f"  {each.address}   (process {each.pid}, counts at {each.page})")
        say("The NATS nodes; end one (kill PID) and see the relays go on:")
        for node in running:
            say(f"  {node.url}   (process {node.pid})")
        say("\nCtrl-C ends them all.")
        signal.pause()


def main() -> int:
    if shutil.which("nats-server") is None:
        print(NO_NATS, file=sys.stderr)  # noqa: T201
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="parlour-cluster-") as folder, suppress(KeyboardInterrupt):
        show(Path(folder))
    say("\nEnded; nothing is left.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
