"""The rows relay.forward, relay.latency and relay.idle: a relay next to a bare splice and a NATS server.

Every subject is a program of its own on loopback, and both ends run in this process. Two are in this module:
`python -m chat.tools.bench.relay splice|relay`. Each prints where it listens.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median
from typing import IO, Any, Final, NamedTuple, cast

from chat.tools.bench import peers
from chat.tools.bench.measure import NotTaken, Sample, Subject, interleave, left_out, rows
from protocol.keys import X25519Pair
from protocol.link.framing import LENGTH_SIZE
from protocol.primitives import system_random
from protocol.relay.rendezvous import RelayAddress, format_relay, parse_relay
from protocol.relay.states import RelayEvent
from protocol.relay.terminal_end import RelayTerminal

PATIENCE: Final = 30.0  # seconds after which a program that does not answer is no measurement any more

Way = tuple[socket.socket, socket.socket]  # what is sent into one end comes out of the other

_READY: Final = re.compile(r"client connections on 127\.0\.0\.1:(\d+)")


@contextmanager
def parlour() -> Iterator[Way]:
    """Through `parlour relay`, after its rendezvous."""
    with running("-m", "chat.cli", "--json", "relay", "--listen", "127.0.0.1:0") as program:
        address = parse_relay(json.loads(program.said.readline())["relay"])
        dialler, waiter = Guest(address), Guest(address)
        with dialler.socket, waiter.socket:
            token = system_random(16)
            waiter.wait([token])
            dialler.dial(token)
            waiter.hear()
            dialler.hear()
            yield dialler.socket, waiter.socket


@contextmanager
def splice() -> Iterator[Way]:
    with running("-m", "chat.tools.bench.relay", "splice") as program:
        port = int(program.said.readline())
        with connected(port) as one, connected(port) as other:
            yield one, other


@contextmanager
def direct() -> Iterator[Way]:
    with socket.create_server(("127.0.0.1", 0)) as server, connected(server.getsockname()[1]) as one:
        other, _ = server.accept()
        with _tuned(other):
            yield one, other


class Server(NamedTuple):
    pid: int
    port: int


@contextmanager
def nats_server() -> Iterator[Server]:
    """A NATS server of our own that stores nothing. Raises NotTaken."""
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
    """A terminal at our relay, up to the circuit. It knows only the relay's address."""

    def __init__(self, address: RelayAddress, source: str = "127.0.0.1") -> None:
        self.socket = _tuned(socket.create_connection((address.host, address.port), PATIENCE, (source, 0)))
        self._end = RelayTerminal(address.key, 0.0)
        self.hear()

    def wait(self, tokens: Sequence[bytes]) -> None:
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


class Program(NamedTuple):
    """A running Python program; `said` is its output."""

    pid: int
    said: IO[str]


@contextmanager
def running(*arguments: str) -> Iterator[Program]:
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, text=True) as process:
        try:
            assert process.stdout
            yield Program(process.pid, process.stdout)
        finally:
            process.terminate()


def connected(port: int, source: str = "127.0.0.1") -> socket.socket:
    """A connection to a local program, from the address `source`."""
    return _tuned(socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0)))


def _tuned(end: socket.socket) -> socket.socket:
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end.settimeout(PATIENCE)
    return end


FORWARD: Final = "relay.forward"
LATENCY: Final = "relay.latency"
SIZES: Final = {256: 65_536, 61_440: 256}
"""Bytes of a frame, and how many wait together: 16 MiB, so that what sockets hold is a small part of it."""
LATENCY_SIZE: Final = 256
ROUNDS: Final = 11
_AT_ONCE: Final = 1 << 20  # bytes that are published in one go: of more the library drops some
_PINGS: Final = 200  # frames of one round of relay.latency, one after the other

_NOTES: Final = {
    "parlour": "the real program, confined; one buffer per direction, zeroed behind every write",
    "tcp": "a bare asyncio splice (Protocol to transport.write), which zeroes nothing",
    "nats": "nats-server, the same through nats-py with a connection at either end",
}


class Flow:
    """Sends many frames into one end in a thread, and receives them at the other."""

    def __init__(self, way: Way, size: int) -> None:
        self._sender, self._reader = way
        self._block = bytes((LENGTH_SIZE + size) * SIZES[size])
        self._room = bytearray(1 << 20)
        self._go = threading.Semaphore(0)
        self._ended = False
        threading.Thread(target=self._send, daemon=True).start()

    def __call__(self) -> None:
        """All of them, from one end to the other."""
        self._go.release()
        left = len(self._block)
        while left:
            count = self._reader.recv_into(self._room)
            if not count:
                raise ConnectionError("the program between both ends has gone")
            left -= count

    def close(self) -> None:
        self._ended = True
        self._go.release()

    def _send(self) -> None:
        while self._go.acquire() and not self._ended:
            self._sender.sendall(self._block)


class Pings:
    """One frame at a time; `spans` are the seconds that each took."""

    def __init__(self, way: Way) -> None:
        self._sender, self._reader = way
        self._frame = bytes(LENGTH_SIZE + LATENCY_SIZE)

    def spans(self) -> list[float]:
        found = []
        for _ in range(_PINGS):
            began, left = time.perf_counter(), len(self._frame)
            self._sender.sendall(self._frame)
            while left:
                left -= len(self._reader.recv(left)) or left
            found.append(time.perf_counter() - began)
        return found


class Nats:
    """A publisher and a subscriber with their own event loop."""

    def __init__(self, module: Any, address: str, size: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._frame = bytes(LENGTH_SIZE + size)
        self._all, self._once = SIZES[size], _AT_ONCE // size
        self._left, self._came = 0, asyncio.Event()
        self._publisher, self._subscriber = self._loop.run_until_complete(self._connect(module, address))

    async def _connect(self, module: Any, address: str) -> tuple[Any, Any]:
        publisher, subscriber = await module.connect(address), await module.connect(address)
        await subscriber.subscribe("parlour", cb=self._heard)
        await subscriber.flush()
        return publisher, subscriber

    def __call__(self) -> None:
        """As many as a Flow has, from one end to the other."""
        for done in range(0, self._all, self._once):
            self._loop.run_until_complete(self._forward(min(self._once, self._all - done)))

    def spans(self) -> list[float]:
        return self._loop.run_until_complete(self._spans())

    async def _spans(self) -> list[float]:
        found = []
        for _ in range(_PINGS):
            began = time.perf_counter()
            await self._forward(1)
            found.append(time.perf_counter() - began)
        return found

    async def _forward(self, count: int) -> None:
        self._left = count
        self._came.clear()
        for _ in range(count):
            await self._publisher.publish("parlour", self._frame)
        await self._came.wait()

    async def _heard(self, _: Any) -> None:
        self._left -= 1
        if not self._left:
            self._came.set()

    def close(self) -> None:
        async def leave() -> None:
            await self._publisher.close()
            await self._subscriber.close()

        self._loop.run_until_complete(leave())
        self._loop.close()


def _nats(stack: ExitStack, size: int, wanted: bool) -> tuple[dict[str, Nats], str]:
    """NATS by its name where it is wanted, until the end of the stack; else nothing, and what is lacking."""
    if not wanted:
        return {}, ""
    module = peers.load("nats")
    if module is None:
        return {}, "nats-py is not installed"
    try:
        server = stack.enter_context(nats_server())
    except NotTaken as told:
        return {}, str(told)
    return {"nats": stack.enter_context(closing(Nats(module, f"nats://127.0.0.1:{server.port}", size)))}, ""


def _reported(
    name: str, size: int, unit: str, samples: Sequence[Sample], lacking: str
) -> list[dict[str, Any]]:
    """The rows; `lacking` says why NATS is not among them, or nothing."""
    missing = [left_out(name, size, "nats", unit, lacking)] if lacking else []
    return [*rows(name, size, unit, samples), *missing]


def forward(
    *, peers: bool = False, rounds: int = ROUNDS, seconds: float = 0.15, **_: Any
) -> list[dict[str, Any]]:
    report = []
    for size, count in SIZES.items():
        with ExitStack() as stack:
            enter = stack.enter_context
            flows = {
                "parlour": enter(closing(Flow(enter(parlour()), size))),
                "tcp": enter(closing(Flow(enter(splice()), size))),
            }
            nats, lacking = _nats(stack, size, peers)
            subjects = [Subject(name, flow, _NOTES[name]) for name, flow in (flows | nats).items()]
            samples = interleave(subjects, units=count, rounds=rounds, seconds=seconds)
        report += _reported(FORWARD, size, "frames/s", samples, lacking)
    return report


def latency(*, peers: bool = False, rounds: int = ROUNDS, **_: Any) -> list[dict[str, Any]]:
    """relay.latency: one over the median that a relay adds to a direct link."""
    with ExitStack() as stack:
        enter = stack.enter_context
        plain = Pings(enter(direct()))
        ways = {"parlour": Pings(enter(parlour())), "tcp": Pings(enter(splice()))}
        nats, lacking = _nats(stack, LATENCY_SIZE, peers)
        # Of each round, what is added at the median and at the 99th percentile, in seconds.
        added: dict[str, list[tuple[float, float]]] = {name: [] for name in ways | nats}
        for _round in range(rounds + 1):
            straight = _percentiles(plain.spans())
            for name, way in (ways | nats).items():
                through = _percentiles(way.spans())
                added[name].append((through[0] - straight[0], through[1] - straight[1]))
    samples = []
    for name, (_first, *spans) in added.items():
        middle, late = (median(column) * 1e6 for column in zip(*spans, strict=True))
        what = f"adds p50 {middle:.1f} µs, p99 {late:.1f} µs to a direct link, one frame at a time"
        rates = tuple(1 / max(half, 1e-9) for half, _ in spans)
        samples.append(Sample(Subject(name, lambda: None, f"{what}; {_NOTES[name]}"), rates))
    return _reported(LATENCY, LATENCY_SIZE, "1/s", samples, lacking)


def _percentiles(spans: list[float]) -> tuple[float, float]:
    ordered = sorted(spans)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]


NAME: Final = "relay.idle"
CROWD: Final = 10_000
TOKENS: Final = 16
"""What each terminal waits on: so many contacts, or half as many in the hour in which days change."""

_FIRST: Final = 100  # connections before the first look: what a program makes once is no connection's
_UNIT: Final = "connections/MiB"
_SPARE: Final = 100  # descriptors that are no connection's


def measure(*, peers: bool = False, crowd: int = CROWD, **_: Any) -> list[dict[str, Any]]:
    """The row, from one crowd for each subject: memory does not vary as time does."""
    try:
        _make_room(crowd)
    except NotTaken as told:
        return [left_out(NAME, crowd, "parlour", _UNIT, str(told))]
    what = f"after its handshake, waiting on {TOKENS} tokens"
    samples = [_idle_sample("parlour", crowd, parlour_idle(crowd), what)]
    lacking = ""
    try:
        if peers:
            what = "after CONNECT, with one subscription"
            samples.append(_idle_sample("nats", crowd, nats_idle(crowd), what))
    except NotTaken:
        lacking = "nats-server is not installed"
    return _reported(NAME, crowd, _UNIT, samples, lacking)


def _idle_sample(name: str, crowd: int, added: int, what: str) -> Sample:
    """`added`: bytes resident that so many idle connections have added to a process."""
    each = added / crowd
    note = f"{each / 1024:.1f} KiB each of {crowd} ({what}), resident in the process alone"
    return Sample(Subject(name, lambda: None, note), ((1 << 20) / max(each, 1.0),) * 2)


def parlour_idle(crowd: int) -> int:
    with running("-m", "chat.tools.bench.relay", "relay") as program:
        address = parse_relay(program.said.readline().strip())

        def come(number: int) -> socket.socket:
            guest = Guest(address, _source(number))
            guest.wait([system_random(16) for _ in range(TOKENS)])
            return guest.socket

        return _cost(program.pid, crowd, come)


def nats_idle(crowd: int) -> int:
    """Clients of a nats-server that have said what they listen for. Raises NotTaken."""
    with nats_server() as server:

        def come(number: int) -> socket.socket:
            client = connected(server.port, _source(number))
            client.recv(4_096)
            client.sendall(b'CONNECT {"verbose":false}\r\nSUB %d 1\r\nPING\r\n' % number)
            client.recv(4_096)
            return client

        return _cost(server.pid, crowd, come)


def _source(number: int) -> str:
    """An address of this machine: one has too few ports for a crowd, counting those that are not free yet."""
    return f"127.0.1.{1 + number % 200}" if sys.platform == "linux" else "127.0.0.1"


def _cost(pid: int, crowd: int, come: Callable[[int], socket.socket]) -> int:
    """Bytes that the connections after the first add. Raises ConnectionError if one was closed meanwhile."""
    with ExitStack() as stack:
        ends = [stack.enter_context(come(number)) for number in range(_FIRST)]
        before = _resident(pid)
        ends += [stack.enter_context(come(number)) for number in range(_FIRST, _FIRST + crowd)]
        after = _resident(pid)
        check(ends)
    return after - before


def check(ends: Sequence[socket.socket]) -> None:
    """Raises ConnectionError if the relay has closed one of them."""
    if gone := sum(_has_ended(end) for end in ends):
        raise ConnectionError(f"{gone} of {len(ends)} were sent away while the others came")


def _has_ended(end: socket.socket) -> bool:
    end.setblocking(False)
    try:
        while end.recv(4_096):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise NotTaken("this system does not tell how much memory a process has")


def _make_room(crowd: int) -> None:
    """As many descriptors as a crowd needs, here and in the programs that are started. Raises NotTaken."""
    if not Path("/proc/self/status").exists():
        raise NotTaken("the memory of a process is read from /proc, which is not there")
    import resource

    wanted = crowd + _FIRST + _SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise NotTaken(f"a process may open {hard} files here, and {wanted} are needed (ulimit -Hn)")
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Splice(asyncio.Protocol):
    """One of two connections. A slow reader stops the other side, as with any honest forwarder."""

    def __init__(self, ended: asyncio.Event, ends: list[asyncio.Transport]) -> None:
        self._ended, self._ends = ended, ends

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._other = 1 - len(self._ends)
        self._ends.append(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        self._ends[self._other].write(data)

    def pause_writing(self) -> None:
        self._ends[self._other].pause_reading()

    def resume_writing(self) -> None:
        self._ends[self._other].resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()


async def _splice() -> None:
    """Join the first two connections with bare asyncio protocols until one of them ends."""
    loop, ended, ends = asyncio.get_running_loop(), asyncio.Event(), list[asyncio.Transport]()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        os.write(1, b"%d\n" % server.getsockname()[1])
        met = [(await loop.sock_accept(server))[0] for _ in range(2)]
    # Both begin in one turn of the event loop, before the first byte of either is read.
    await asyncio.gather(*(loop.connect_accepted_socket(lambda: Splice(ended, ends), end) for end in met))
    await ended.wait()


async def _relay() -> None:
    """Run the relay's server without limits, so that one machine can be a crowd, until the input ends."""
    from chat.ports import SystemClock
    from chat.relay.quotas import Limits
    from chat.relay.run import listen, port_of
    from chat.relay.server import Relay, Settings

    pair, limits = X25519Pair.generate(), Limits(**dict.fromkeys(Limits.__struct_fields__, 1 << 27))
    servers = listen("127.0.0.1", 0)
    server = Relay(Settings(pair, SystemClock(), limits))
    server.start(servers)
    address = RelayAddress("127.0.0.1", port_of(servers[0]), pair.public)
    os.write(1, f"{format_relay(address)}\n".encode())
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
    await ended.wait()
    server.stop()


if __name__ == "__main__":
    asyncio.run({"splice": _splice, "relay": _relay}[sys.argv[1]]())
