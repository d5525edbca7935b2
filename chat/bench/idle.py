"""The row relay.idle: how many terminals that only wait a MiB of a relay's own memory holds.

Rules: terminals shake hands and wait as real ones do, on as many tokens as somebody has contacts; memory is
what the process itself has resident (VmRSS), before the crowd and with it. What the kernel keeps for a socket
is in no process's figure, and the same for any relay.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chat.bench import between
from chat.bench.between import Guest
from chat.bench.report import NotTaken
from protocol.bench.measure import Sample, Subject, rows
from protocol.bench.row import left_out
from protocol.primitives import system_random
from protocol.relay_address import parse_relay

NAME: Final = "relay.idle"
CROWD: Final = 10_000
TOKENS: Final = 16
"""What each terminal waits on: so many contacts, or half as many in the hour in which days change."""

_FIRST: Final = 100
"""Connections before the first look: what a program makes once is no connection's."""
_UNIT: Final = "connections/MiB"
_SPARE: Final = 100  # descriptors that are no connection's


@dataclass(frozen=True, slots=True)
class Cost:
    """What so many idle connections have added to a process, in bytes resident."""

    connections: int
    bytes: int

    @property
    def each(self) -> float:
        return self.bytes / self.connections

    @property
    def a_mebibyte(self) -> float:
        return (1 << 20) / max(self.each, 1.0)


def measure(*, peers: bool = False, crowd: int = CROWD, **_: Any) -> list[dict[str, Any]]:
    """The row, from one crowd for each subject: memory does not vary as time does."""
    try:
        _make_room(crowd)
    except NotTaken as lacking:
        return [left_out(NAME, crowd, "parlour", _UNIT, str(lacking))]
    found = rows(NAME, crowd, _UNIT, _samples(crowd, peers))
    if peers and len(found) == 1:
        found.append(left_out(NAME, crowd, "nats", _UNIT, "nats-server is not installed"))
    return found


def _samples(crowd: int, with_peers: bool) -> list[Sample]:
    samples = [_sample("parlour", parlour(crowd), f"after its handshake, waiting on {TOKENS} tokens")]
    if with_peers:
        try:
            samples.append(_sample("nats", nats(crowd), "after CONNECT, with one subscription"))
        except NotTaken:
            return samples
    return samples


def _sample(name: str, cost: Cost, what: str) -> Sample:
    note = f"{cost.each / 1024:.1f} KiB each of {cost.connections} ({what}), resident in the process alone"
    return Sample(Subject(name, lambda: None, note), (cost.a_mebibyte, cost.a_mebibyte))


def parlour(crowd: int, tokens: int = TOKENS) -> Cost:
    """Terminals that wait at our relay."""
    with between.running("-m", "chat.bench.roomy") as program:
        address = parse_relay(program.said.readline().strip())

        def come(number: int) -> socket.socket:
            guest = Guest(address, _source(number))
            guest.wait([system_random(16) for _ in range(tokens)])
            return guest.socket

        return _cost(program.pid, crowd, come)


def nats(crowd: int) -> Cost:
    """Clients of a nats-server that have said what they listen for. Raises NotTaken."""
    with between.nats_server() as server:

        def come(number: int) -> socket.socket:
            client = between.connected(server.port, _source(number))
            client.recv(4_096)
            client.sendall(b'CONNECT {"verbose":false}\r\nSUB %d 1\r\nPING\r\n' % number)
            client.recv(4_096)
            return client

        return _cost(server.pid, crowd, come)


def _source(number: int) -> str:
    """An address of this machine: one has too few ports for a crowd, counting those that are not free yet."""
    return f"127.0.1.{1 + number % 200}" if sys.platform == "linux" else "127.0.0.1"


def _cost(pid: int, crowd: int, come: Callable[[int], socket.socket]) -> Cost:
    """What those after the first add. ConnectionError where one was sent away meanwhile."""
    with _crowd() as ends:
        ends += [come(number) for number in range(_FIRST)]
        before = _resident(pid)
        ends += [come(number) for number in range(_FIRST, _FIRST + crowd)]
        after = _resident(pid)
        _check(ends)
    return Cost(crowd, after - before)


@contextmanager
def _crowd() -> Iterator[list[socket.socket]]:
    ends: list[socket.socket] = []
    try:
        yield ends
    finally:
        for end in ends:
            end.close()


def _check(ends: list[socket.socket]) -> None:
    """Everybody is still there, whatever they were told meanwhile."""
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
    """Bytes of memory that a process has itself."""
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
