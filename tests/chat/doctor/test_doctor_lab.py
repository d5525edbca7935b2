"""The doctor on real hosts: faults that are made for real are named, and the fix that is printed works."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chat.network.beacon import Beacon
from tests.chat.network.wire import Tap
from tests.lab.hosts import Host, Lab
from tests.needs import needs_nft, needs_root_network

pytestmark = pytest.mark.network

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}

# Prints the lines of the report, for a profile that has port 4747 and whose engine runs or not.
EXAMINE = """
import asyncio, dataclasses, json, pathlib, sys
from chat.doctor import Context, diagnose
listening = sys.argv[1] == "listening"
context = Context(4747, listening, pathlib.Path("/nonexistent"), heard=0 if listening else None)
for line in asyncio.run(diagnose(context)):
    print(json.dumps(dataclasses.asdict(line)))
"""

# Stands for an engine: listens on port 4747 and greets as one does.
ENGINE = """
import asyncio
from chat.network.tcp import TcpTransport
async def greet(connection):
    await connection.write(b"PARLOUR\\0" + bytes(20))
    connection.close()
async def main():
    await TcpTransport().listen(4747, greet)
    print("listening", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""

# Calls a port as another terminal would; prints whether somebody answers.
CALL = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], 4747), 1) as call:
        print(call.recv(7).decode())
except OSError:
    print("nobody")
"""

Report = dict[str, list[dict[str, Any]]]


@pytest.fixture
def lab() -> Iterator[Lab]:
    needs_root_network()
    with Lab(2) as lab:
        yield lab


def examine(host: Host, engine: str = "") -> Report:
    """Lines by check."""
    report: Report = {}
    for line in host.run(sys.executable, "-c", EXAMINE, engine, env=ENVIRONMENT).splitlines():
        entry = json.loads(line)
        report.setdefault(entry["check"], []).append(entry)
    return report


def running(host: Host) -> None:
    program = host.start(sys.executable, "-c", ENGINE, environment=ENVIRONMENT)
    program.wait_for(lambda line: line == "listening")


def call(caller: Host, called: Host) -> str:
    return caller.run(sys.executable, "-c", CALL, called.address).strip()


def bad(report: Report) -> list[str]:
    return [
        f"{line['check']}: {line['found']}" for lines in report.values() for line in lines if not line["good"]
    ]


def apply(host: Host, fix: str) -> None:
    """Type what the doctor says."""
    host.run("sh", "-c", fix.replace("sudo ", ""))


def test_a_healthy_host_without_a_way_to_the_internet_is_healthy(lab: Lab) -> None:
    running(lab.hosts[0])
    Beacon(lab.hosts[1]).do("announce other")
    report = examine(lab.hosts[0], "listening")
    assert bad(report) == []
    assert list(report) == ["network", "route", "firewall", "multicast", "others", "port", "clock", "profile"]
    assert "IPv4 and IPv6" in report["multicast"][0]["found"]
    assert "1 other" in report["others"][0]["found"] or "2 other" in report["others"][0]["found"]


def test_a_policy_that_drops_is_named_and_the_fix_opens_the_port(lab: Lab) -> None:
    host, other = lab.hosts
    running(host)
    host.run("iptables", "-A", "INPUT", "-i", "lo", "-j", "ACCEPT")
    host.run("iptables", "-P", "INPUT", "DROP")
    assert call(other, host) == "nobody"
    report = examine(host, "listening")
    closed, deaf = report["firewall"]
    assert "iptables keeps TCP port 4747 closed" in closed["found"]
    assert "policy of INPUT: drop" in closed["found"]
    assert "multicast DNS in" in deaf["found"]
    for line in (closed, deaf):
        apply(host, line["fix"])
    assert [line["good"] for line in examine(host, "listening")["firewall"]] == [True]
    assert call(other, host) == "PARLOUR"


def test_a_single_rule_is_named(lab: Lab) -> None:
    host, other = lab.hosts
    running(host)
    rule = "-A INPUT -p tcp -m tcp --dport 4700:4800 -j REJECT --reject-with icmp-port-unreachable"
    host.run("iptables", *rule.split())
    (line,) = examine(host, "listening")["firewall"]
    assert not line["good"]
    assert rule in line["found"]
    assert call(other, host) == "nobody"
    apply(host, line["fix"])
    assert call(other, host) == "PARLOUR"


def test_nft_is_named_in_its_own_words_and_the_fix_works(lab: Lab) -> None:
    needs_nft()
    host, other = lab.hosts
    running(host)
    host.run("nft", "-f", "-", input=NFT)
    assert call(other, host) == "nobody"
    (line,) = examine(host, "listening")["firewall"]
    assert "nft keeps TCP port 4747 closed" in line["found"]
    assert "tcp dport 4000-5000 drop" in line["found"]
    apply(host, line["fix"])
    assert call(other, host) == "PARLOUR"
    assert examine(host, "listening")["firewall"][0]["good"]


NFT = """
table inet guard {
  chain incoming {
    type filter hook input priority 0; policy accept;
    iif lo accept
    tcp dport 4000-5000 drop
  }
}
"""


def test_a_kill_switch_that_lets_nothing_out_to_the_local_network(lab: Lab) -> None:
    host, other = lab.hosts
    running(other)
    host.run("iptables", "-A", "OUTPUT", "-o", "eth0", "-j", "REJECT")
    report = examine(host)
    out, multicast = report["firewall"]
    assert "lets no connection out" in out["found"]
    assert "multicast DNS out" in multicast["found"]
    assert call(host, other) == "nobody"
    apply(host, out["fix"])
    assert call(host, other) == "PARLOUR"


def test_multicast_that_rules_hold_back_is_the_fault_of_the_firewall_alone(lab: Lab) -> None:
    host = lab.hosts[0]
    for tool, group in (("iptables", "224.0.0.0/4"), ("ip6tables", "ff00::/8")):
        host.run(tool, "-A", "INPUT", "-d", group, "-j", "DROP")
    report = examine(host)
    assert "multicast DNS in" in report["firewall"][0]["found"]
    assert "multicast" not in report


def test_a_vpn_that_takes_the_local_network_away(lab: Lab) -> None:
    host = lab.hosts[0]
    tunnel = host.start(sys.executable, "-c", TUNNEL)
    tunnel.wait_for(lambda line: line == "open")
    report = examine(host)
    (line,) = report["route"]
    assert not line["good"]
    assert "10.77.0.1/24 on eth0 goes to tun0" in line["found"]
    assert "tun0" in report["vpn"][0]["found"]


# Opens tun0 and routes the lab's network into it, as some VPNs do.
TUNNEL = """
import fcntl, os, struct, subprocess, sys
tunnel = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tunnel, 0x400454CA, struct.pack("16sH", b"tun0", 0x1001))
for command in ("link set tun0 up", "address add 10.200.0.2/32 dev tun0", "route add 10.77.0.0/25 dev tun0"):
    subprocess.run(["ip", *command.split()], check=True)
print("open", flush=True)
sys.stdin.read()
"""


def test_a_pulled_cable(lab: Lab) -> None:
    lab.cut(lab.hosts[0])
    report = examine(lab.hosts[0])
    assert report["network"][0]["found"] == "no connection on eth0"


def test_nobody_heard_is_suspicious_while_the_engine_has_found_nobody_either(lab: Lab) -> None:
    running(lab.hosts[0])
    assert bad(examine(lab.hosts[0], "listening")) == ["others: nobody else was heard by multicast"]


def test_the_question_of_the_doctor_disturbs_no_discovery(lab: Lab) -> None:
    """It shares port 5353 with the engine: what is announced meanwhile is still found, and nothing else."""
    host, other = lab.hosts
    watcher, announcer = Beacon(host), Beacon(other)
    announcer.do("announce before")
    watcher.wait_for_found("before")
    tap = Tap(other)
    examine(host)
    asked = [tap.wait_for(b"local\0\0\x0c\0\1\x09_services") for _ in range(2)]
    assert {frame[12:14] for frame in asked} == {b"\x08\x00", b"\x86\xdd"}  # IPv4 and IPv6, to port 5353
    announcer.do("announce after")
    watcher.wait("lost", "before")
    watcher.wait("found", "after")
    assert {each["instance"] for each in watcher.heard("found")} == {"before", "after"}
