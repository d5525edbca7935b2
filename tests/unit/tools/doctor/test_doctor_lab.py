"""The doctor on real hosts: faults that are made for real are named, and the fix that is printed works."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.doctor.causes import CAUSES, Cause, examine, stand
from tests.support.lab.hosts import Host, Lab
from tests.support.machine import needs_nft, needs_root_network
from tests.support.network.mdns import Beacon, Tap

pytestmark = pytest.mark.network

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


def report_of(host: Host) -> Report:
    report: Report = {}
    for line in examine(host):
        report.setdefault(line["check"], []).append(line)
    return report


def call(caller: Host, called: Host) -> str:
    return caller.run(sys.executable, "-c", CALL, called.address).strip()


def bad(report: Report) -> list[str]:
    return [line["found"] for lines in report.values() for line in lines if not line["good"]]


def apply(host: Host, fix: str) -> None:
    host.run("sh", "-c", fix.replace("sudo ", ""))


def test_a_healthy_host_without_a_way_to_the_internet_is_healthy(lab: Lab) -> None:
    stand(lab.hosts[0])
    Beacon(lab.hosts[1]).do("announce other")
    report = report_of(lab.hosts[0])
    assert bad(report) == []
    assert list(report) == [
        "network",
        "route",
        "firewall",
        "multicast",
        "others",
        "port",
        "clock",
        "profile",
        "pictures",
    ]
    assert "IPv4 and IPv6" in report["multicast"][0]["found"]
    assert "1 other" in report["others"][0]["found"] or "2 other" in report["others"][0]["found"]


def test_a_policy_that_drops_is_named_and_the_fix_opens_the_port(lab: Lab) -> None:
    host, other = lab.hosts
    stand(host)
    host.run("iptables", "-A", "INPUT", "-i", "lo", "-j", "ACCEPT")
    host.run("iptables", "-P", "INPUT", "DROP")
    assert call(other, host) == "nobody"
    report = report_of(host)
    closed, deaf = report["firewall"]
    assert "iptables keeps TCP port 4747 closed" in closed["found"]
    assert "policy of INPUT: drop" in closed["found"]
    assert "multicast DNS in" in deaf["found"]
    for line in (closed, deaf):
        apply(host, line["fix"])
    assert [line["good"] for line in report_of(host)["firewall"]] == [True]
    assert call(other, host) == "PARLOUR"


NFT = """
table inet guard {
  chain incoming {
    type filter hook input priority 0; policy accept;
    iif lo accept
    tcp dport 4000-5000 drop
  }
}
"""
REJECT = "-A INPUT -p tcp -m tcp --dport 4700:4800 -j REJECT --reject-with icmp-port-unreachable"


@pytest.mark.parametrize(
    ("command", "typed", "words"),
    [("nft -f -", NFT, "tcp dport 4000-5000 drop"), (f"iptables {REJECT}", "", REJECT)],
    ids=["nft", "iptables"],
)
def test_a_single_rule_is_named_in_its_own_words(lab: Lab, command: str, typed: str, words: str) -> None:
    needs_nft()
    host, other = lab.hosts
    stand(host)
    host.run(*command.split(), input=typed)
    assert call(other, host) == "nobody"
    (line,) = report_of(host)["firewall"]
    assert f"{command.split()[0]} keeps TCP port 4747 closed" in line["found"]
    assert words in line["found"]
    apply(host, line["fix"])
    assert call(other, host) == "PARLOUR"
    assert report_of(host)["firewall"][0]["good"]


def test_a_kill_switch_that_lets_nothing_out_to_the_local_network(lab: Lab) -> None:
    host, other = lab.hosts
    stand(other)
    host.run("iptables", "-A", "OUTPUT", "-o", "eth0", "-j", "REJECT")
    report = report_of(host)
    out, multicast = report["firewall"]
    assert "lets no connection out" in out["found"]
    assert "multicast DNS out" in multicast["found"]
    assert call(host, other) == "nobody"
    apply(host, out["fix"])
    assert call(host, other) == "PARLOUR"


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


Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def told() -> Iterator[dict[str, Lines]]:
    needs_root_network()
    needs_nft()

    def ask(cause: Cause) -> Lines:
        with Lab(3) as lab:
            made = cause.make(lab) or {}
            return examine(lab.hosts[0], **cause.knows, **made)

    with ThreadPoolExecutor(6) as doctors:  # most of what they do is waiting
        yield dict(zip(CAUSES, doctors.map(ask, CAUSES.values()), strict=True))


@pytest.mark.parametrize("name", CAUSES)
def test_exactly_the_cause_that_was_made_is_told(told: dict[str, Lines], name: str) -> None:
    cause = CAUSES[name]
    bad = [line for line in told[name] if not line["good"]]
    assert [line["check"] for line in bad] == [cause.told] * bool(cause.told)
    assert all(cause.words in line["found"] and line["fix"] for line in bad)
