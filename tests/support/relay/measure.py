"""What a relay costs, alone and over NATS: `python -m tests.support.relay.measure`, for SCALING.md."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from protocol.relay.states import WaitBegun, WasAbsent
from tests.support.lab.inspection import copies, which_are_held
from tests.support.lab.programs import Program
from tests.support.relay.processes import (
    TRIES,
    Ended,
    Member,
    Node,
    Relay,
    Terminal,
    cluster,
    meet,
    receive,
    say,
    waiting,
)

IDLE = 1_000
A_SOURCE = 20
"""Terminals of one address, whose handshakes are let in at once."""
MANY_TOKENS = 200
CIRCUITS = 100
BYTES = 256 << 20
PINGS = 2_000
MISSES = 1_600

Ends = tuple[Terminal, Terminal]
"""Of a circuit."""


def resident(pid: int) -> int:
    """Bytes of a process's memory that are there."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def worked(pid: int) -> float:
    """Seconds of processor time that it has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bill:
    """What each process has come to cost, by the kind of process."""

    def __init__(self, kinds: dict[str, Sequence[Program]]) -> None:
        self._kinds = kinds
        self.begin()

    def begin(self) -> None:
        self._memory, self._work = self._sums(resident), self._sums(worked)

    def memory(self, each: int) -> str:
        """What was added, for each of so many."""
        return _told(self._memory, self._sums(resident), 1 / each / 1024, ".1f", "KiB")

    def work(self, size: int) -> str:
        """Processor seconds for each GiB of so many bytes."""
        return _told(self._work, self._sums(worked), (1 << 30) / size, ".1f", "s")

    def each(self, number: int) -> str:
        """Processor microseconds for each of so many."""
        return _told(self._work, self._sums(worked), 1e6 / number, ".0f", "µs")

    def _sums(self, of: Callable[[int], float]) -> dict[str, float]:
        return {kind: sum(of(each.pid) for each in programs) for kind, programs in self._kinds.items()}


def _told(before: dict[str, float], now: dict[str, float], scale: float, form: str, unit: str) -> str:
    return ", ".join(f"{kind} {(now[kind] - before[kind]) * scale:{form}} {unit}" for kind in now)


def crowd(at: Relay, number: int, tokens: int) -> None:
    """So many terminals that wait on so many tokens each, from addresses of loopback."""
    for index in range(number):
        source = f"127.1.{index // A_SOURCE // 200}.{index // A_SOURCE % 200 + 1}"
        waiting_on = (secrets.token_bytes(16) for _ in range(tokens))
        welcome(at, source).wait(*waiting_on).expect(WaitBegun)


def welcome(at: Relay, source: str) -> Terminal:
    """A terminal that the relay let in, as soon as its bounds allow another handshake."""
    while True:
        with contextlib.suppress(Ended, ConnectionError):
            return at.terminal(source).welcomed()


def circuits(entered: Relay, left: Relay, number: int) -> list[Ends]:
    made = []
    for index in range(number):
        token, source = secrets.token_bytes(16), f"127.2.0.{index // 10 + 1}"
        waiter = waiting(left, token, source)
        made.append((meet(waiter, entered, token, source)[0], waiter))
    return made


def push(pair: Ends, size: int) -> float:
    """Seconds for so many bytes through a circuit."""
    one, other = pair
    began = time.perf_counter()
    sender = threading.Thread(target=lambda: one.socket.sendall(bytes(size)))
    sender.start()
    receive(other.socket, size)
    sender.join()
    return time.perf_counter() - began


def ping(pair: Ends) -> float:
    """The median of seconds for one byte through a circuit."""
    one, other = pair
    took = []
    for _ in range(PINGS):
        began = time.perf_counter()
        one.socket.sendall(b"x")
        receive(other.socket, 1)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def miss(at: Relay) -> int:
    """Dial for nobody so often, many at a time: where a relay listens to names alike, each takes a moment."""
    diallers = [welcome(at, f"127.3.0.{index + 1}") for index in range(MISSES // TRIES)]
    for _ in range(TRIES):
        for dialler in diallers:
            dialler.dial(secrets.token_bytes(16))
        for dialler in diallers:
            dialler.expect(WasAbsent)
    for dialler in diallers:
        dialler.close()
    return MISSES


def examine(name: str, entered: Member, left: Member, bill: Bill, nodes: Sequence[Node]) -> Iterator[str]:
    """Line by line; the two relays may be one."""
    yield f"\n{name}"
    crowd(left, IDLE, 8)
    yield f"  a terminal that waits on 8 tokens      {bill.memory(IDLE)}"
    bill.begin()
    crowd(left, MANY_TOKENS, 128)
    yield f"  one that waits on 128                  {bill.memory(MANY_TOKENS)}"
    bill.begin()
    pairs = circuits(entered, left, CIRCUITS)
    yield f"  a circuit that is idle                 {bill.memory(CIRCUITS)}"
    push(pairs[0], BYTES // 8)
    bill.begin()
    seconds = push(pairs[0], BYTES)
    yield f"  a GiB through one circuit              {bill.work(BYTES)}; {BYTES / seconds / 1e6:.0f} MB/s"
    bill.begin()
    median = ping(pairs[0])
    yield f"  a byte through it, {median * 1e6:.0f} µs there    {bill.each(PINGS)}"
    bill.begin()
    yield f"  a dial that finds nobody, of {miss(entered)}      {bill.each(MISSES)}"
    yield from remains(pairs[1], (entered, left), nodes)


def remains(pair: Ends, relays: Sequence[Program], nodes: Sequence[Node]) -> Iterator[str]:
    """What is in memory after 10,000 frames that bore a mark: the mark, and what NATS carried for it."""
    mark = secrets.token_bytes(32)
    block = (secrets.token_bytes(112) + mark + secrets.token_bytes(112)) * 100
    with tapped(nodes) as heard:
        for _ in range(100):
            pair[0].socket.sendall(block)
            receive(pair[1].socket, len(block))
    carried = samples(bytes(heard))
    # The last node is asked for nothing but by the tap, which would fill it.
    for kind, programs in (("relays", relays), ("nodes", nodes[:-1])):
        for each in dict.fromkeys(programs):
            found = copies(each.pid, mark)
            left = len(which_are_held(each.pid, carried))
            yield f"  left in one of the {kind:6}   mark {found}; of {len(carried)} parts of NATS's {left}"


@contextmanager
def tapped(nodes: Sequence[Node]) -> Iterator[bytearray]:
    """All that passes over NATS meanwhile, as the last node tells it."""
    heard = bytearray()
    if not nodes:
        yield heard
        return
    with socket.create_connection(("127.0.0.1", int(nodes[-1].url.rpartition(":")[2]))) as tap:
        tap.sendall(b'CONNECT {"verbose":false}\r\nSUB > 1\r\nPING\r\n')
        while b"PONG" not in heard:
            heard += tap.recv(1 << 16)
        reader = threading.Thread(target=lambda: drain(tap, heard))
        reader.start()
        yield heard
        tap.shutdown(socket.SHUT_WR)
        reader.join()


def drain(tap: socket.socket, heard: bytearray) -> None:
    while part := tap.recv(1 << 16):
        heard += part


def samples(heard: bytes) -> list[bytes]:
    """Some parts of what was carried, from its beginning to its end: sealed, so each is there once."""
    if len(heard) < 1 << 20:
        return []
    return [heard[at : at + 32] for at in range(1 << 15, len(heard) - 32, len(heard) // 200)]


def main() -> None:
    say(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
    with Member("--metrics", "127.0.0.1:0", "--examinable") as running:
        for line in examine("One process", running, running, Bill({"relay": [running]}), []):
            say(line)
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder)) as (nodes, relays):
        bill = Bill({"relays": relays, "NATS": nodes})
        for line in examine("Three relays, three NATS nodes", relays[0], relays[1], bill, nodes):
            say(line)
    say(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
