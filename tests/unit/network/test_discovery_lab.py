"""Discovery between hosts: finding, late comers, the killed, changes of network, liars and listeners."""

from __future__ import annotations

import random
import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from chat.network.mdns import encode_text
from chat.ports import Announcement
from protocol.discovery import SLOT_COUNTS
from tests.support.lab.hosts import Host, Lab
from tests.support.network.mdns import Beacon, Flood, Tap, response, shout, slots

pytestmark = pytest.mark.network


HOSTS = 3


def announced(announcer: Beacon, watcher: Beacon, instance: str, seconds: float = 15) -> dict[str, Any]:
    """What the watcher finds of an instance that the other announces."""
    announcer.do(f"announce {instance}")
    return watcher.wait("found", instance, seconds)


def ended(beacon: Beacon) -> None:
    beacon.program.end_input()
    beacon.wait("closed")


def announced_by(host: Host) -> list[str]:
    return [host.address, host.link_local]


def test_terminals_find_each_other_with_every_address(lab: Lab) -> None:
    beacons = [Beacon(host) for host in lab.hosts]
    for number, beacon in enumerate(beacons):
        beacon.do(f"announce terminal{number}")
    for number, beacon in enumerate(beacons):
        for other in {0, 1, 2} - {number}:
            found = beacon.wait_for_found(f"terminal{other}")
            assert found["addresses"] == announced_by(lab.hosts[other])
            assert found["port"] == 4747
            assert found["own_slots"]
            assert found["name"] == ""


def test_a_late_comer_finds_who_is_there(lab: Lab) -> None:
    first = Beacon(lab.hosts[0], count=max(SLOT_COUNTS))
    first.do("announce early Anna")
    first.wait("done")
    late = Beacon(lab.hosts[1])
    assert late.wait("found", "early")["name"] == "Anna"


def test_a_killed_terminal_that_comes_back_is_found_under_its_new_name(lab: Lab) -> None:
    """Nobody notices a kill by multicast; presence is the link's. What counts is that the new one is seen."""
    watcher, victim = Beacon(lab.hosts[0]), Beacon(lab.hosts[1])
    announced(victim, watcher, "killed")
    victim.program.kill()
    announced(Beacon(lab.hosts[1]), watcher, "reborn")


def test_a_pulled_cable_and_back(lab: Lab) -> None:
    mover, stayer, gone = (Beacon(host) for host in lab.hosts)
    for beacon, instance in ((mover, "mover1"), (stayer, "stayer"), (gone, "gone")):
        beacon.do(f"announce {instance}")
    mover.wait_for_found("stayer")
    mover.wait_for_found("gone")
    stayer.wait_for_found("mover1")
    lab.cut(lab.hosts[0])
    mover.wait("changed")
    gone.program.kill()
    lab.heal(lab.hosts[0])
    mover.wait("changed")
    assert announced(mover, stayer, "mover2")["addresses"] == announced_by(lab.hosts[0])
    mover.wait("lost", "gone")
    assert "stayer" not in [each["instance"] for each in mover.heard("lost")]


def test_another_network(lab: Lab) -> None:
    mover, stayer = Beacon(lab.hosts[0]), Beacon(lab.hosts[1])
    mover.do("announce home")
    stayer.wait_for_found("home")
    lab.hosts[0].run("ip", "address", "add", "192.168.50.1/24", "dev", "eth0")
    mover.wait("changed")
    stayer.wait("lost", "home")
    addresses = ["10.77.0.1", "192.168.50.1", lab.hosts[0].link_local]
    assert announced(mover, stayer, "away")["addresses"] == addresses


def test_an_interface_that_appears_later_is_spoken_on(lab: Lab) -> None:
    early, other = Beacon(lab.hosts[0]), Beacon(lab.hosts[1])
    for state in ("down", "up"):
        lab.hosts[0].run("ip", "link", "set", "eth0", state)
        early.wait("changed")
    announced(early, other, "back")


def test_attack_16_a_spoofed_record_is_a_hint_and_nothing_more(lab: Lab) -> None:
    """Anybody can redirect an announcement; the port and address in it lead to a handshake only."""
    watcher, honest = Beacon(lab.hosts[0]), Beacon(lab.hosts[1])
    announced(honest, watcher, "honest")
    text = encode_text(Announcement("honest", ("10.77.0.3",), 9, slots("honest"), "Mallory"))
    shout(lab.hosts[2], [response("honest", port=9, text=text)])
    spoofed = watcher.wait("found", "honest")
    assert (spoofed["port"], spoofed["addresses"]) == (9, ["10.77.0.3"])


def test_attack_16_addresses_outside_the_local_network_are_never_handed_on(lab: Lab) -> None:
    watcher = Beacon(lab.hosts[0])
    text = encode_text(Announcement("mixed", ("10.77.0.3",), 4747, slots("mixed")))
    mixed = response("mixed", addresses=("8.8.8.8", "10.77.0.3"), text=text, server="m.local.")
    public = response("public", addresses=("8.8.8.8", "1.1.1.1"), text=text, server="p.local.")
    shout(lab.hosts[2], [public, mixed])
    assert watcher.wait("found")["addresses"] == ["10.77.0.3"]
    assert [each["instance"] for each in watcher.heard("found")] == ["mixed"]


def test_attack_16_garbage_harms_nobody_and_nothing_of_it_is_repeated(lab: Lab) -> None:
    watcher, honest = Beacon(lab.hosts[0]), Beacon(lab.hosts[1])
    # A few at a time: a receiver that is overrun would miss some, and the test what they do.
    packets = damaged()
    for number, some in enumerate((absurd(), *(packets[at : at + 50] for at in range(0, len(packets), 50)))):
        shout(lab.hosts[2], some)
        announced(honest, watcher, f"honest{number}")
    assert {each["instance"][:6] for each in watcher.heard("found")} == {"honest"}
    ended(watcher)
    assert watcher.program.wait_exit() == 0
    assert watcher.program.complained == []


def absurd() -> list[bytes]:
    """Well-formed packets with names and values that no terminal announces, and some that are no DNS."""
    loop = b"\0\0\x84\0\0\0\0\1\0\0\0\0" + b"\xc0\x0c" + b"\0\x0c\0\1\0\0\x11\x94\0\2\xc0\x0c"
    texts = (b"", b"\xff" * 255, b"\3v=1", b"\0" * 300, b"\3v=1" + b"\xfds0=" + b"x" * 250)
    names = ("ZZ needle \x1b[31m", "a.b", "-" * 63, "UPPER", "_x", " ")
    packets = [response("zzneedlezz", text=text) for text in texts]
    packets += [response(name, text=b"\3v=1") for name in names]
    return [*packets, response("zzneedlezz", port=0, text=b"\3v=1"), loop, b"\xff" * 1400, b""]


def damaged() -> list[bytes]:
    seeded = random.Random(16)
    text = encode_text(Announcement("a", ("10.77.0.3",), 1, slots("a")))
    # Its host has no address in any other packet: the records before a cut are good ones, and count.
    good = response("zzneedlezz", text=text, server="damaged.local.")
    packets = [good[:size] for size in range(0, len(good), 3)]
    packets += [
        bytes(seeded.choice((byte, byte ^ 1 << seeded.randrange(8))) for byte in good) for _ in range(100)
    ]
    return packets + [seeded.randbytes(seeded.randrange(1, 1400)) for _ in range(100)]


def test_attack_16_a_flood_of_inventions_is_bounded_and_passes(lab: Lab) -> None:
    watcher, honest = Beacon(lab.hosts[0]), Beacon(lab.hosts[1])
    before = memory(watcher)
    inventions = []
    for number in range(3000):
        name = f"fake{number}"
        text = encode_text(Announcement(name, ("10.77.0.3",), 1, slots(name, 128)))
        inventions.append(response(name, text=text, server=f"{name}.local."))
    shout(lab.hosts[2], inventions)
    announced(honest, watcher, "honest", 60)
    assert len(watcher.heard("found")) - len(watcher.heard("lost")) <= 256
    assert memory(watcher) - before < 64 << 10
    shout(lab.hosts[2], [response(f"bare{number}", text=None) for number in range(500)])
    announced(honest, watcher, "honest2", 60)


@pytest.mark.parametrize("addresses", [1, 40])
def test_attack_16_what_a_flood_costs_does_not_grow_with_it(lab: Lab, addresses: int) -> None:
    """The second 40,000 records cost nothing; who was known stays known, who comes meanwhile is found."""
    watcher, honest, late = Beacon(lab.hosts[0]), Beacon(lab.hosts[1]), Beacon(lab.hosts[1])
    announced(honest, watcher, "contact")
    flood = Flood(lab.hosts[2], watcher, addresses)
    flood.send(40_000)
    before = memory(watcher)
    flood.send(20_000)
    late.do("announce late")
    watcher.wait_for_found("late")
    flood.send(20_000)
    assert memory(watcher) - before < 4 << 10
    gone = {each["instance"] for each in watcher.heard("lost")}
    assert not gone & {"contact", "late"}


def memory(beacon: Beacon) -> int:
    status = Path(f"/proc/{beacon.program.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))  # type: ignore[union-attr]


def test_attack_65_a_hidden_terminal_gives_no_name_key_or_number_away(lab: Lab) -> None:
    tap = Tap(lab.hosts[2])
    hidden = Beacon(lab.hosts[0])
    for instance in ("k3q9z0aaaaaaaaaa", "k3q9z0bbbbbbbbbb"):
        hidden.do(f"announce {instance}")
        tap.wait_for(instance.encode())
    ended(hidden)
    frames = tap.frames()
    said = b"".join(frames)
    for secret in (socket.gethostname(), lab.hosts[0].namespace, "parlour-", "python", "root"):
        assert secret.encode().lower() not in said.lower().replace(b"_parlour", b"")
    assert b"n=" not in texts(said)
    first, second = (packets_with(frames, name) for name in (b"k3q9z0aaaaaaaaaa", b"k3q9z0bbbbbbbbbb"))
    assert {len(each) for each in first} & {len(each) for each in second}
    assert not labels(first) & labels(second) - {b"_parlour", b"_tcp", b"local"}


def texts(said: bytes) -> bytes:
    """Without the slots, which are random: a pair of letters in them means nothing."""
    for instance in ("k3q9z0aaaaaaaaaa", "k3q9z0bbbbbbbbbb"):
        for slot in slots(instance):
            said = said.replace(slot, b"")
    return said


def packets_with(frames: list[bytes], name: bytes) -> list[bytes]:
    """Announcements of one instance over IPv4: that alone, not the goodbye of the other."""
    return [frame for frame in frames if name in frame and frame[12:14] == b"\x08\x00" and b"v=1" in frame]


def labels(packets: list[bytes]) -> set[bytes]:
    """Whatever looks like a label of a name in a packet without its slots."""
    found: set[bytes] = set()
    for packet in packets:
        head, _, _ = texts(packet).partition(b"v=1")
        found |= set(re.findall(rb"[a-z0-9_-]{4,}", head[42:] + texts(packet).rpartition(b"s1=")[2]))
    return found


def test_attack_65_the_name_is_there_only_while_visible(lab: Lab) -> None:
    tap = Tap(lab.hosts[2])
    terminal = Beacon(lab.hosts[0])
    for instance, name in (("before", ""), ("shown", "Zebulon"), ("after", "")):
        terminal.do(f"announce {instance} {name}")
        tap.wait_for(instance.encode())
    ended(terminal)
    named = [frame for frame in tap.frames() if b"Zebulon" in frame]
    assert named
    assert all(b"shown" in frame for frame in named)


def test_attack_65_nothing_is_said_into_a_vpn(lab: Lab) -> None:
    """The company at the other end of a tunnel learns neither that Parlour runs here nor when."""
    host = lab.hosts[0]
    tunnel = host.start(sys.executable, "-c", TUNNEL)
    tunnel.wait_for(lambda line: line == "open")
    terminal, other = Beacon(host), Beacon(lab.hosts[1])
    assert announced(terminal, other, "quiet")["addresses"] == announced_by(host)
    assert not [line for line in tunnel.said if "e00000fb" in line or "14e914e9" in line]


# A VPN's end: opens tun0 with an address and prints every packet that is sent into it.
TUNNEL = """
import fcntl, os, struct, subprocess
tunnel = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tunnel, 0x400454CA, struct.pack("16sH", b"tun0", 0x1001))
for command in ("link set tun0 up", "address add 10.200.0.2/24 dev tun0"):
    subprocess.run(["ip", *command.split()], check=True)
print("open", flush=True)
while True:
    print(os.read(tunnel, 2000).hex(), flush=True)
"""
