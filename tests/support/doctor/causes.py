"""Why terminals do not meet: host 1 asks the doctor, host 2 is a contact's, host 3 another's or a router."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.lab.hosts import Host, Lab
from tests.support.lab.programs import Program

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}

# Takes a context as JSON, prints the lines of the report; the engine listens on port 4747.
EXAMINE = """
import asyncio, json, pathlib, sys
from msgspec.structs import asdict
from chat.tools.doctor import Context, Relay, Sought, diagnose
from chat.network.connection import format_address
from chat.network.transport import TcpTransport
from protocol.relay.rendezvous import parse_relay

def sought(places, is_it=None, **rest):
    async def told():
        return is_it
    return Sought(tuple(map(tuple, places)), is_it=None if is_it is None else told, **rest)

def relay(text):
    named = parse_relay(text)
    connect = lambda seconds: TcpTransport().connect(named.host, named.port, seconds)
    return Relay(format_address(named.host, named.port), named.key, connect)

given = json.loads(sys.argv[1])
given["sought"] = tuple(sought(**each) for each in given["sought"])
given["relays"] = tuple(map(relay, given["relays"]))
context = Context(4747, True, pathlib.Path("/nonexistent"), **given)
for line in asyncio.run(diagnose(context)):
    print(json.dumps(asdict(line)))
"""

# Arguments: whether it `speaks`, which is to answer multicast questions; the words with which it greets on
# TCP, as Parlour if none; the port, 4747 if none.
STAND = """
import select, socket, sys
greeting = sys.argv[2].encode() if "".join(sys.argv[2:3]) else b"PARLOUR\\0" + bytes(20)
port, doors, group = int(sys.argv[3]) if sys.argv[3:] else 4747, [], None
for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    door = socket.socket(family)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    door.bind((host, port))
    door.listen()
    doors.append(door)
if sys.argv[1] == "speaks":
    group = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    group.bind(("224.0.0.251", 5353))
    here = socket.inet_aton("0.0.0.0") + socket.if_nametoindex("eth0").to_bytes(4, sys.byteorder)
    group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("224.0.0.251") + here)
    group.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("0.0.0.0") + here)
    group.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
print("stands", flush=True)
while True:
    for ready in select.select([*doors, *([group] if group else [])], [], [])[0]:
        if ready is group:
            if not group.recv(9000)[2] & 0x80:
                group.sendto(bytes([0, 0, 0x84]) + bytes(9), ("224.0.0.251", 5353))
        else:
            call, _ = ready.accept()
            call.sendall(greeting)
            call.close()
"""

# Opens tun0 and routes half of the lab's network into it, as some VPNs do.
TUNNEL = """
import fcntl, os, struct, subprocess, sys
tunnel = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tunnel, 0x400454CA, struct.pack("16sH", b"tun0", 0x1001))
for command in ("link set tun0 up", "address add 10.200.0.2/32 dev tun0", "route add 10.77.0.0/25 dev tun0"):
    subprocess.run(["ip", *command.split()], check=True)
print("open", flush=True)
sys.stdin.read()
"""


Make = Callable[[Lab], Mapping[str, Any] | None]
ROUTE = "ip route add default via 10.77.0.3"


@dataclass(frozen=True)
class Cause:
    """`told`: the check that has to tell it, with `words` in its line; empty where all is well.

    `make` makes it, `knows` is what the engine of host 1 hands to the doctor; `make` may add to it.
    """

    told: str
    words: str
    make: Make
    knows: dict[str, Any] = field(default_factory=dict)


def examine(host: Host, **knows: Any) -> list[dict[str, Any]]:
    """The lines of the report on a host on which an engine is known to listen."""
    given = json.dumps({"heard": 0, "sought": [], "relays": [], **knows})
    told = host.run(sys.executable, "-c", EXAMINE, given, env=ENVIRONMENT)
    return [json.loads(line) for line in told.splitlines()]


def stand(host: Host, *how: str) -> None:
    host.start(sys.executable, "-c", STAND, *(how or ("silent",))).wait_for(lambda line: line == "stands")


def alone(lab: Lab) -> None:
    stand(lab.hosts[0])


def closed(lab: Lab) -> None:
    """Parlour does not run on the contact's machine; the third answers by multicast."""
    alone(lab)
    stand(lab.hosts[2], "speaks")


def well(lab: Lab) -> None:
    closed(lab)
    stand(lab.hosts[1])


def routed(lab: Lab, *how: str) -> None:
    """Host 3 is the router of the others, and does not speak by multicast."""
    alone(lab)
    stand(lab.hosts[1], *how)
    for host in lab.hosts[:2]:
        host.run(*ROUTE.split())


def after(state: Make, number: int, *commands: str) -> Make:
    """The state, and then commands on a host, by its number, or on the switch (0)."""

    def make(lab: Lab) -> None:
        state(lab)
        for command in commands:
            (lab.hosts[number - 1].run if number else lab.switch)(*command.split())

    return make


def apart_but_heard(lab: Lab) -> None:
    """Multicast is handed on, and nothing that is meant for one device alone."""
    routed(lab, "speaks")
    lab.switch("nft", "-f", "-", input=UNICAST_APART)


UNICAST_APART = """
table bridge apart {
  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname "p3" accept
    oifname "p3" accept
    ether type arp drop
    ip6 daddr ff02::1:ff00:0/104 drop
    ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00 drop
  }
}
"""


def other(host: Host) -> None:
    """Parlour at the relay's port."""
    stand(host, "silent", "", "4746")


def by_vpn(lab: Lab) -> None:
    well(lab)
    lab.hosts[0].start(sys.executable, "-c", TUNNEL).wait_for(lambda line: line == "open")


def other_program(lab: Lab) -> None:
    closed(lab)
    stand(lab.hosts[1], "silent", "220 mail")


def relay(host: Host) -> tuple[Program, str]:
    """A relay with a new key, and its address."""
    command = (sys.executable, "-m", "chat.cli", "relay", "--listen", f"{host.address}:4746")
    program = host.start(*command, environment=ENVIRONMENT)
    return program, program.wait_for(lambda line: line.startswith("parlour-relay:"))


def relayed(*, killed: bool = True, then: Callable[[Host], object] = lambda host: None) -> Make:
    """A relay on host 2 that the engine of host 1 knows, and what is there in its place."""

    def make(lab: Lab) -> Mapping[str, Any]:
        well(lab)
        program, address = relay(lab.hosts[1])
        if killed:
            program.kill()
        then(lab.hosts[1])
        return {"relays": [address]}

    return make


def peer(**how: Any) -> dict[str, Any]:
    return {"sought": [{"places": [("10.77.0.2", 4747)], **how}]}


HERE = ["10.77.0.1"]
THIRD = {"sought": [{"places": [("10.77.0.3", 4747)]}]}
ANNOUNCED = {"heard": 1, **peer(heard=True)}
STALE = "Parlour at 10.77.0.2:4747 has ended, or its announcement is stale"
CLOSED = "Parlour is not open at 10.77.0.2:4747"
OTHER_CARD = (
    "ip link add eth1 type veth peer name far",
    "ip link set eth1 up",
    "ip link set far up",
    "ip address add 10.99.0.1/24 dev eth1",
    "ip route add 10.77.0.3/32 dev eth1",
)
"""A route of one address that was left behind on a second network card."""
SPLIT = ("ip link add half type bridge mcast_snooping 0", "ip link set half up", "ip link set p1 master half")
"""The router and the contact are on the other half of the network."""


def addressed(state: Make, number: int, address: str) -> Make:
    flush = "ip address flush dev eth0 scope global"
    return after(state, number, flush, f"ip address add {address}/24 dev eth0")


def switched(what: str, *ports: int) -> list[str]:
    return [f"ip link set p{port} type bridge_slave {what}" for port in ports]


# As access points do it: frames of one device reach the router and no other device.
ISOLATED = after(routed, 0, *switched("isolated on", 1, 2))
FILTERED = after(well, 0, *switched("mcast_flood off", 1, 2, 3))
ADDRESSED = addressed(alone, 1, "10.78.0.1")
RENUMBERED = addressed(well, 2, "10.77.0.20")
MOVED = addressed(addressed(well, 1, "10.78.0.1"), 3, "10.78.0.3")
ROUTER = after(after(alone, 1, ROUTE), 2, ROUTE)
NO_TCP_IN = after(well, 1, "iptables -A INPUT -i eth0 -p tcp --dport 4747 -j DROP")
NO_MULTICAST_IN = after(
    well, 1, "iptables -A INPUT -d 224.0.0.0/4 -j DROP", "ip6tables -A INPUT -d ff00::/8 -j DROP"
)
NONE_OUT = after(well, 1, "iptables -A OUTPUT -d 10.77.0.3 -j DROP")
CAUSES = {
    "nothing": Cause("", "", well, peer()),
    "nothing, linked": Cause(
        "", "", well, {"heard": 1, "began": HERE, "promised": HERE, **peer(linked=True)}
    ),
    "own firewall": Cause("firewall", "keeps TCP port 4747 closed", NO_TCP_IN, peer(is_it=True)),
    "own firewall on multicast": Cause("firewall", "lets no multicast DNS in", NO_MULTICAST_IN, peer()),
    "own firewall for one": Cause("firewall", "lets no connection out", NONE_OUT, THIRD),
    "their firewall": Cause(
        "firewall",
        "a machine at 10.77.0.2:4747 is on the network but accepts no connections",
        after(well, 2, "iptables -P INPUT DROP"),
        peer(),
    ),
    "isolation": Cause("isolation", "the router 10.77.0.3 answers, but no other device", ISOLATED, peer()),
    "isolation, but heard": Cause(
        "isolation", "heard from 10.77.0.2:4747, but packets do not arrive there", apart_but_heard, ANNOUNCED
    ),
    "multicast filtered": Cause("multicast", "the network filters it", FILTERED, peer(linked=True)),
    "route of a VPN": Cause("route", "10.77.0.1/24 on eth0 go to tun0", by_vpn, peer()),
    "route by another card": Cause(
        "route", "10.77.0.3 on eth0 go to eth1", after(well, 1, *OTHER_CARD), THIRD
    ),
    "changed network": Cause(
        "changed network", "not on any network of this machine: 10.77.0.2:4747", MOVED, peer()
    ),
    "changed under the engine": Cause(
        "changed network", "10.77.0.1 became 10.78.0.1", ADDRESSED, {"began": HERE}
    ),
    "changed under an invitation": Cause("changed network", "contains 10.77.0.1", MOVED, {"promised": HERE}),
    "address that nobody has": Cause(
        "address", "nothing answers at 10.77.0.2:4747 any more", RENUMBERED, peer()
    ),
    "address of another terminal": Cause(
        "address", "another device answers at 10.77.0.2", well, peer(is_it=False)
    ),
    "address of another program": Cause(
        "address", "another program answers at 10.77.0.2", other_program, peer()
    ),
    "closed there": Cause("address", CLOSED, closed, peer()),
    "closed there, next to a router": Cause("address", CLOSED, ROUTER, peer()),
    "ended there, still announced": Cause("address", STALE, closed, ANNOUNCED),
    "off, still announced": Cause("address", STALE, after(well, 0, "ip link set p2 down"), ANNOUNCED),
    "clock of another day": Cause(
        "clock", "2 days behind the clock of a contact", well, {"days_ahead": 2, **peer()}
    ),
    "relay, well": Cause("", "", relayed(killed=False)),
    "relay unreachable": Cause("relay", "10.77.0.2:4746 is unreachable", relayed()),
    "relay's key changed": Cause("relay", "10.77.0.2:4746 has another key", relayed(then=relay)),
    "no relay there": Cause("relay", "the program at 10.77.0.2:4746 is not a relay", relayed(then=other)),
    "split network": Cause("network", "not even the router 10.77.0.3", after(routed, 0, *SPLIT), peer()),
    "nobody, and no router": Cause("others", "no other device was heard by multicast", alone),
    "pulled cable": Cause(
        "network", "no connection on eth0", after(routed, 0, "ip link set p1 down"), peer()
    ),
}
