"""A machine that floods the multicast group with forged records, from as many addresses as it takes."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator

from zeroconf._dns import DNSAddress, DNSPointer, DNSService, DNSText
from zeroconf._protocol.outgoing import DNSOutgoing

from chat.network.records import SERVICE, encode_text
from chat.ports import Announcement
from tests.support.lab.hosts import Host
from tests.support.lab.programs import Silent
from tests.support.network.beacon import Beacon, slots
from tests.support.network.wire import response

OTHER_SERVICE = "_ipp._tcp.local."
PORTION = 20
"""Packets that a receiver's socket has room for: what it loses would cost it nothing, and show nothing."""
AGAIN, TRIES = 2.0, 10
"""Seconds after which a mark is taken for lost on the way, and how many are sent."""
POINTERS = 30
_RESPONSE, _TRUNCATED = 0x8400, 0x0200
_A, _PTR, _TXT, _SRV, _IN, _UNIQUE = 1, 12, 16, 33, 1, 0x8000

# Sends each line (ADDRESS and a packet in hex) to the group from that address, and says `sent` for a dot.
FLOOD = """
import socket, sys
open_sockets = {}
for line in sys.stdin:
    if line == ".\\n":
        print("sent", flush=True)
        continue
    address, packet = line.split()
    if address not in open_sockets:
        out = open_sockets[address] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        out.bind((address, 5353))
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    open_sockets[address].sendto(bytes.fromhex(packet), ("224.0.0.251", 5353))
"""


class Flood:
    """Floods from a host, which gets `addresses` addresses. `watcher` is who receives it, on another."""

    def __init__(self, host: Host, watcher: Beacon, addresses: int) -> None:
        self.records = 0
        self._watcher = watcher
        self._addresses = [f"10.77.1.{number}" for number in range(1, addresses + 1)]
        for address in self._addresses:
            host.run("ip", "address", "add", f"{address}/16", "dev", "eth0")
        self._program = host.start(sys.executable, "-c", FLOOD)
        self._turn = itertools.cycle(self._addresses)
        self._packets = packets()
        self._marks = itertools.count()
        self._host = host

    def send(self, records: int) -> None:
        """Send so many records; returns when the watcher has read them."""
        end = self.records + records
        while self.records < end:
            lines = []
            for _ in range(PORTION):
                count, packet = next(self._packets)
                self.records += count
                lines.append(f"{next(self._turn)} {packet.hex()}\n")
            self._program.write("".join(lines))
            if not any(self._is_read() for _ in range(TRIES)):
                raise Silent("the watcher found none of the marks")

    def _is_read(self) -> bool:
        """Whether the watcher has found an announcement that was sent after everything else."""
        mark = f"mark{next(self._marks)}"
        text = encode_text(Announcement(mark, (self._host.address,), 1, slots(mark)))
        packet = response(mark, text=text, server=f"{mark}.local.")
        self._program.write(f"{self._host.address} {packet.hex()}\n.\n")
        self._program.wait_for(lambda line: line == "sent")
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
    out = DNSOutgoing(flags)
    for name in names:
        out.add_answer_at_time(DNSPointer(SERVICE, _PTR, _IN | unique, 4500, f"{name}.{SERVICE}"), 0)
    return bytes(out.packets()[0])


def whole(name: str, service: str, ttl: int = 4500) -> bytes:
    """All records of one instance; `ttl` 0 is its goodbye."""
    out, full, server = DNSOutgoing(_RESPONSE), f"{name}.{service}", f"{name}.local."
    text = encode_text(Announcement("a", ("10.77.0.3",), 1, slots(name, 128)))
    out.add_answer_at_time(DNSPointer(service, _PTR, _IN, ttl, full), 0)
    out.add_answer_at_time(DNSService(full, _SRV, _IN | _UNIQUE, ttl, 0, 0, 1, server), 0)
    out.add_answer_at_time(DNSText(full, _TXT, _IN | _UNIQUE, ttl, text), 0)
    out.add_answer_at_time(DNSAddress(server, _A, _IN | _UNIQUE, ttl, bytes([10, 77, 0, 3])), 0)
    return bytes(out.packets()[0])
