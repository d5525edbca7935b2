"""What stands on a lab host's wire, and what a stranger puts there: whole frames and mDNS packets."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from zeroconf._dns import DNSAddress, DNSPointer, DNSService, DNSText
from zeroconf._protocol.outgoing import DNSOutgoing

from chat.network.records import SERVICE
from tests.support.lab.hosts import Host
from tests.support.lab.programs import Program

_RESPONSE, _AUTHORITATIVE = 0x8000, 0x0400
_A, _PTR, _TXT, _SRV = 1, 12, 16, 33
_IN, _UNIQUE = 1, 0x8000

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

# Sends each line (hex) to the multicast group from port 5353.
SHOUT = """
import socket, sys
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
out.bind((sys.argv[1], 5353))
out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
for line in sys.stdin:
    out.sendto(bytes.fromhex(line), ("224.0.0.251", 5353))
print("shouted", flush=True)
"""


class Tap:
    """Reads along on a host's interface from its making on."""

    def __init__(self, host: Host, interface: str = "eth0", what: str = "mdns") -> None:
        self._program: Program = host.start(sys.executable, "-c", LISTEN, interface, what)
        self._program.wait_for(lambda line: line == "listening")

    def wait_for(self, part: bytes) -> bytes:
        """The next frame that holds these bytes."""
        return bytes.fromhex(self._program.wait_for(lambda line: part.hex() in line))

    def frames(self) -> list[bytes]:
        """All frames up to now; it reads no more."""
        self._program.end_input()
        assert self._program.wait_exit(60) == 0
        return [bytes.fromhex(line) for line in self._program.said[1:]]


def shout(host: Host, packets: Iterable[bytes]) -> None:
    """Send packets by multicast from a host, and return when all are on the wire."""
    program = host.start(sys.executable, "-c", SHOUT, host.address)
    program.write("".join(packet.hex() + "\n" for packet in packets))
    program.end_input()
    program.wait_for(lambda line: line == "shouted", 60)


def response(
    instance: str,
    *,
    port: int = 4747,
    addresses: Iterable[str] = ("10.77.0.3",),
    text: bytes | None = b"",
    server: str = "spoofed.local.",
) -> bytes:
    """An announcement as anybody could send it; `text` None leaves all but the pointer out."""
    out = DNSOutgoing(_RESPONSE | _AUTHORITATIVE)
    name = f"{instance}.{SERVICE}"
    out.add_answer_at_time(DNSPointer(SERVICE, _PTR, _IN, 4500, name), 0)
    if text is not None:
        out.add_answer_at_time(DNSService(name, _SRV, _IN | _UNIQUE, 120, 0, 0, port, server), 0)
        out.add_answer_at_time(DNSText(name, _TXT, _IN | _UNIQUE, 4500, text), 0)
        for address in addresses:
            packed = bytes(int(part) for part in address.split("."))
            out.add_answer_at_time(DNSAddress(server, _A, _IN | _UNIQUE, 120, packed), 0)
    (packet,) = out.packets()
    return bytes(packet)
