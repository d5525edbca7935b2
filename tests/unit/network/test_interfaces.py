"""What this machine tells of its interfaces: kinds, order, bounds; by values and on real interfaces."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import ifaddr
import pytest

from chat.network import interfaces as module
from chat.network import netlink
from chat.network.interfaces import Interface, Kind, interfaces, outward, own_addresses, spoken_on
from tests.support.lab.hosts import Host, Lab

LO = Interface("lo", 1, Kind.LOOPBACK, True, ("127.0.0.1/8", "::1/128"))
ETH = Interface("eth0", 2, Kind.LAN, True, ("fd00::2/64", "fe80::2/64", "10.77.0.2/24"))
WLAN = Interface("wlan0", 3, Kind.LAN, True, ("192.168.1.2/24", "fe80::3/64"))
VPN = Interface("wg0", 4, Kind.TUNNEL, True, ("100.64.0.9/32",))
DOCKER = Interface("docker0", 5, Kind.VIRTUAL, True, ("172.17.0.1/16",))
PUBLIC = Interface("eth1", 6, Kind.LAN, True, ("203.0.113.5/24", "fe80::6/64"))
V6_ONLY = Interface("eth2", 7, Kind.LAN, True, ("fd01::7/64",))


def down(interface: Interface) -> Interface:
    return replace(interface, up=False)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([LO, ETH], ("10.77.0.2", "fe80::2")),
        ([LO, ETH, WLAN], ("10.77.0.2", "192.168.1.2", "fe80::2", "fe80::3")),
        # On a café's network nobody learns of the company's VPN, nor of the containers here.
        ([LO, ETH, VPN, DOCKER], ("10.77.0.2", "fe80::2")),
        ([LO, down(ETH), VPN, DOCKER], ("100.64.0.9", "172.17.0.1")),
        ([LO, down(ETH), down(VPN)], ("127.0.0.1",)),
        ([LO, PUBLIC], ("fe80::6",)),
        ([LO, V6_ONLY], ("fd01::7",)),
        ([down(LO)], ()),
        ([], ()),
    ],
)
def test_addresses_told_to_others(found: list[Interface], told: tuple[str, ...]) -> None:
    assert own_addresses(found) == told


def test_no_more_addresses_than_an_announcement_holds() -> None:
    many = [
        Interface(f"eth{n}", n, Kind.LAN, True, (f"10.0.{n}.1/24", f"fe80::{n}/64")) for n in range(1, 10)
    ]
    told = own_addresses(many)
    assert len(told) == module.MAX_ADDRESSES
    assert all(":" not in address for address in told)


def test_multicast_is_spoken_where_addresses_are_told() -> None:
    assert spoken_on([LO, ETH, VPN, DOCKER]) == ["10.77.0.2", 2]
    assert spoken_on([LO, PUBLIC, V6_ONLY]) == ["203.0.113.5", 6, 7]
    assert spoken_on([LO]) == ["127.0.0.1"]
    assert outward([LO, ETH, WLAN]) == [ETH, WLAN]


SHOW = """
import json
from chat.network.interfaces import interfaces, own_addresses
print(json.dumps({each.name: [each.kind, each.up, list(each.networks)] for each in interfaces()}))
print(json.dumps(own_addresses()))
"""


def seen(host: Host) -> tuple[dict[str, tuple[str, bool, list[str]]], list[str]]:
    lines = host.run(sys.executable, "-c", SHOW).splitlines()
    return {name: tuple(each) for name, each in json.loads(lines[0]).items()}, json.loads(lines[1])


HOSTS = 1


@pytest.fixture
def host(lab: Lab) -> Host:
    return lab.hosts[0]


def ip(host: Host, *commands: str) -> None:
    for command in commands:
        host.run("ip", *command.split())


@pytest.mark.network
def test_kinds_of_real_interfaces(host: Host) -> None:
    ip(
        host,
        "link add docker0 type bridge",
        "address add 172.17.0.1/16 dev docker0",
        "link add leaf type veth peer name inside",
        "link set leaf master docker0",
        "link set docker0 up",
        "link set leaf up",
        "link set inside up",
        "tuntap add vpn0 mode tun",
        "address add 100.64.0.9/32 dev vpn0",
        # As on a host of virtual machines: a bridge has the address, and its port (a VXLAN here) leads out.
        "link add card type vxlan id 5 dev eth0 dstport 4789",
        "link add br0 type bridge",
        "link set card master br0",
        "link set card up",
        "link set br0 up",
        "address add 192.168.7.1/24 dev br0",
    )
    found, told = seen(host)
    assert found["lo"][0] == Kind.LOOPBACK
    assert found["eth0"] == (Kind.LAN, True, ["10.77.0.1/24", "fe80::77:ff:fe00:1/64"])
    assert found["docker0"][:2] == (Kind.VIRTUAL, True)
    assert found["vpn0"] == (Kind.TUNNEL, False, ["100.64.0.9/32"])
    assert found["br0"][0] == Kind.LAN
    assert "leaf" not in found
    assert "192.168.7.1" in told
    assert not {"172.17.0.1", "100.64.0.9"}.intersection(told)


@pytest.mark.network
def test_a_pulled_cable(host: Host) -> None:
    ip(host, "link set eth0 down")
    found, told = seen(host)
    assert found["eth0"][1] is False
    assert told == ["127.0.0.1"]


@pytest.mark.network
def test_an_address_that_is_not_yet_its_own_is_not_told(host: Host) -> None:
    """Duplicate address detection takes a second or more; until then nobody can be reached there."""
    settings = "/proc/sys/net/ipv6/conf/eth0"
    host.run("sh", "-c", f"echo 1 > {settings}/accept_dad; echo 600 > {settings}/dad_transmits")
    ip(host, "address add fd00::5/64 dev eth0", "address add fd00::6/64 dev eth0 nodad")
    found, _ = seen(host)
    assert "fd00::6/64" in found["eth0"][2]
    assert "fd00::5/64" not in found["eth0"][2]


def test_without_the_kernel_the_same_addresses_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS, the BSDs and Windows know no rtnetlink; there names decide what a tunnel is."""
    by_kernel = {each.name: each for each in interfaces() if each.networks}
    monkeypatch.setattr(netlink, "AVAILABLE", False)
    by_name = {each.name: each for each in interfaces()}
    assert set(by_name) == set(by_kernel)
    assert by_name["lo"].kind is Kind.LOOPBACK
    for name, interface in by_name.items():
        assert interface.index == by_kernel[name].index
        assert set(interface.networks) >= set(by_kernel[name].networks)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("en0", Kind.LAN),
        ("Intel(R) Wi-Fi 6", Kind.LAN),
        ("utun3", Kind.TUNNEL),
        ("WireGuard Tunnel", Kind.TUNNEL),
        ("awdl0", Kind.VIRTUAL),
        ("Hyper-V Virtual Ethernet Adapter", Kind.VIRTUAL),
        ("vmnet8", Kind.VIRTUAL),
    ],
)
def test_kinds_by_name(name: str, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = ifaddr.Adapter(name, name, [ifaddr.IP("10.0.0.1", 24, name)], 7)
    monkeypatch.setattr(netlink, "AVAILABLE", False)
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [adapter])
    assert interfaces() == (Interface(name, 7, kind, True, ("10.0.0.1/24",)),)
