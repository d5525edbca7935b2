"""Discovery on lab hosts: a discovery program, captured frames, forged packets and floods."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from zeroconf._dns import DNSAddress, DNSPointer, DNSRecord, DNSService, DNSText
from zeroconf._protocol.outgoing import DNSOutgoing

from chat.network.interfaces import own_addresses
from chat.network.mdns import ZeroconfDiscovery, encode_text
from chat.ports import Announcement
from protocol.discovery import SERVICE
from tests.support.lab.hosts import Host
from tests.support.lab.programs import Program, Silent

PORT = 4747


def slots(instance: str, count: int = 32) -> tuple[bytes, ...]:
    """Slots that a test knows again."""
    return tuple(hashlib.blake2b(f"{instance} {n}".encode(), digest_size=8).digest() for n in range(count))


class Teller:
    def found(self, announcement: Announcement) -> None:
        told = {name: getattr(announcement, name) for name in ("instance", "addresses", "port", "name")}
        say(event="found", **told, own_slots=announcement.slots == slots(announcement.instance))

    def lost(self, instance: str) -> None:
        say(event="lost", instance=instance)

    def network_changed(self) -> None:
        say(event="changed")


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def main(count: int) -> None:
    discovery = ZeroconfDiscovery()
    await discovery.start(Teller())
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    say(event="ready", problem=discovery.problem)
    while line := (await commands.readline()).decode():
        command, *words = line.split()
        if command == "announce":
            name = " ".join(words[1:])
            told = slots(words[0], count)
            await discovery.announce(Announcement(words[0], own_addresses(), PORT, told, name))
        elif command == "withdraw":
            await discovery.announce(None)
        say(event="done", command=command)
    await discovery.close()
    say(event="closed")


class Beacon:
    def __init__(self, host: Host, count: int = 32) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        command = (sys.executable, "-m", "tests.support.network.mdns", str(count))
        self.program: Program = host.start(*command, environment=environment)
        self.wait("ready")

    def do(self, command: str) -> None:
        self.program.write(command + "\n")

    def wait(self, event: str, instance: str = "", seconds: float = 15) -> dict[str, Any]:
        """The next event of that kind (about that instance); others before it are passed over."""

        def wanted(line: str) -> bool:
            heard = json.loads(line)
            return heard["event"] == event and instance in ("", heard.get("instance"))

        return dict(json.loads(self.program.wait_for(wanted, seconds)))

    def wait_for_found(self, instance: str) -> dict[str, Any]:
        """What was or is found of that instance, in whatever order."""
        told = (found for found in self.heard("found") if found["instance"] == instance)
        return next(told, None) or self.wait("found", instance)

    def heard(self, event: str) -> list[dict[str, Any]]:
        return [each for line in list(self.program.said) if (each := json.loads(line))["event"] == event]


_RESPONSE, _TRUNCATED = 0x8400, 0x0200  # the response is authoritative
_A, _PTR, _TXT, _SRV = 1, 12, 16, 33
_IN, _UNIQUE = 1, 0x8000
_OWN = _IN | _UNIQUE

# Prints in hex every frame of an interface (of all, without a name) that holds UDP from or to port 5353, or
# everything, until the input ends; then also what waits to be read.
LISTEN = """
import select, socket, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
if sys.argv[1]:
    wire.bind((sys.argv[1], 0))
print("listening", flush=True)
ended = False
while not ended:
    ended = sys.stdin in select.select([wire, sys.stdin], [], [])[0]
    while select.select([wire], [], [], 0)[0]:
        frame = wire.recv(1 << 17)
        if sys.argv[2] == "all" or (5353).to_bytes(2, "big") in (frame[34:36], frame[54:56]):
            print(frame.hex(), flush=True)
"""

# Sends each line (ADDRESS and a packet in hex) to the group from that address, and says `sent` for a dot.
SHOUT = """
import socket, sys
open_sockets = {}
for line in sys.stdin:
    if line == ".\\n":
        print("sent", flush=True)
        continue
    address, _, packet = line.strip().partition(" ")
    if address not in open_sockets:
        out = open_sockets[address] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        out.bind((address, 5353))
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    open_sockets[address].sendto(bytes.fromhex(packet), ("224.0.0.251", 5353))
"""


class Tap:
    """Reads along on a host's interface from its making on."""

    def __init__(self, host: Host, interface: str = "eth0", what: str = "mdns") -> None:
        self._program: Program = host.start(sys.executable, "-c", LISTEN, interface, what)
        self._program.wait_for("listening".__eq__)

    def wait_for(self, part: bytes) -> bytes:
        return bytes.fromhex(self._program.wait_for(lambda line: part.hex() in line))

    def frames(self) -> list[bytes]:
        """All frames up to now; it reads no more."""
        self._program.end_input()
        assert self._program.wait_exit(60) == 0
        return [bytes.fromhex(line) for line in self._program.said[1:]]


def shout(host: Host, packets: Iterable[bytes]) -> None:
    """Send packets by multicast from a host, and return when all are on the wire."""
    program = host.start(sys.executable, "-c", SHOUT)
    program.write("".join(f"{host.address} {packet.hex()}\n" for packet in packets) + ".\n")
    program.wait_for("sent".__eq__, 60)
    program.end_input()


def response(
    instance: str,
    *,
    port: int = 4747,
    addresses: Iterable[str] = ("10.77.0.3",),
    text: bytes | None = b"",
    server: str = "spoofed.local.",
) -> bytes:
    """An announcement as anybody could send it; `text` None leaves all but the pointer out."""
    name = f"{instance}.{SERVICE}"
    records: list[DNSRecord] = [DNSPointer(SERVICE, _PTR, _IN, 4500, name)]
    if text is not None:
        records.append(DNSService(name, _SRV, _OWN, 120, 0, 0, port, server))
        records.append(DNSText(name, _TXT, _OWN, 4500, text))
        records += [DNSAddress(server, _A, _OWN, 120, socket.inet_aton(address)) for address in addresses]
    return packet_of(records)


def packet_of(records: Iterable[DNSRecord], flags: int = _RESPONSE) -> bytes:
    out = DNSOutgoing(flags)
    for record in records:
        out.add_answer_at_time(record, 0)
    (packet,) = out.packets()
    return bytes(packet)


OTHER_SERVICE = "_ipp._tcp.local."
PORTION = 20
"""Packets that a receiver's socket has room for: what it loses would cost it nothing, and show nothing."""
AGAIN, TRIES = 2.0, 10
"""Seconds after which a mark is taken for lost on the way, and how many are sent."""
POINTERS = 30


class Flood:
    """Floods from a host, which gets `addresses` addresses. `watcher` is who receives it, on another."""

    def __init__(self, host: Host, watcher: Beacon, addresses: int) -> None:
        self.records = 0
        self._watcher = watcher
        sources = [f"10.77.1.{number}" for number in range(1, addresses + 1)]
        for source in sources:
            host.run("ip", "address", "add", f"{source}/16", "dev", "eth0")
        self._program = host.start(sys.executable, "-c", SHOUT)
        self._sources = itertools.cycle(sources)
        self._packets = packets()
        self._marks = itertools.count()
        self._host = host

    def send(self, records: int) -> None:
        """Send so many records; returns when the watcher has read them."""
        end = self.records + records
        while self.records < end:
            for _ in range(PORTION):
                count, packet = next(self._packets)
                self.records += count
                self._program.write(f"{next(self._sources)} {packet.hex()}\n")
            if not any(self._is_read() for _ in range(TRIES)):
                raise Silent("the watcher found none of the marks")

    def _is_read(self) -> bool:
        """Whether the watcher has found an announcement that was sent after everything else."""
        mark = f"mark{next(self._marks)}"
        text = encode_text(Announcement(mark, (self._host.address,), 1, slots(mark)))
        packet = response(mark, text=text, server=f"{mark}.local.")
        self._program.write(f"{self._host.address} {packet.hex()}\n.\n")
        self._program.wait_for("sent".__eq__)
        try:
            self._watcher.wait("found", mark, AGAIN)
        except Silent:
            return False
        return True


def packets() -> Iterator[tuple[int, bytes]]:
    """Without end: (number of records, packet), no name twice."""
    for number in itertools.count():
        yield POINTERS, pointers([f"bare{number}x{each}" for each in range(POINTERS)])
        yield 4, whole(f"fake{number}", SERVICE)
        yield 4, whole(f"printer{number}", OTHER_SERVICE)
        yield 4, whole(f"fake{number}", SERVICE, ttl=0)
        yield POINTERS, pointers([f"flush{number}x{each}" for each in range(POINTERS)], _UNIQUE)
        packet = whole(f"cut{number}", SERVICE)
        yield 4, packet[: len(packet) * (1 + number % 10) // 11]
        yield 1, number.to_bytes(2, "big") + b"\x84\0\0\0\0\1\0\0\0\0" + LOOP
        yield POINTERS, pointers([f"known{number}x{each}" for each in range(POINTERS)], flags=_TRUNCATED)


# A name that points to itself.
LOOP = b"\xc0\x0c" + b"\0\x0c\0\1\0\0\x11\x94\0\2\xc0\x0c"


def pointers(names: list[str], unique: int = 0, flags: int = _RESPONSE) -> bytes:
    """Pointers alone, which bring nothing with them."""
    records = (DNSPointer(SERVICE, _PTR, _IN | unique, 4500, f"{name}.{SERVICE}") for name in names)
    return packet_of(records, flags)


def whole(name: str, service: str, ttl: int = 4500) -> bytes:
    """All records of one instance; `ttl` 0 is its goodbye."""
    full, server = f"{name}.{service}", f"{name}.local."
    text = encode_text(Announcement("a", ("10.77.0.3",), 1, slots(name, 128)))
    return packet_of(
        [
            DNSPointer(service, _PTR, _IN, ttl, full),
            DNSService(full, _SRV, _OWN, ttl, 0, 0, 1, server),
            DNSText(full, _TXT, _OWN, ttl, text),
            DNSAddress(server, _A, _OWN, ttl, bytes([10, 77, 0, 3])),
        ]
    )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
