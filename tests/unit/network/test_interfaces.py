"""What this machine tells of its interfaces: kinds, order, bounds; by values and on real interfaces."""

from __future__ import annotations

import ipaddress
import json
import struct
import sys
import time

import ifaddr
import pytest
from msgspec.structs import replace

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


def _link(index: int, name: str, flags: int, kind: str = "", master: int = 0) -> netlink.Record:
    """A link as Linux reports it (linux/if_link.h)."""
    attributes = {3: name.encode() + b"\0"}
    if kind:
        value = kind.encode() + b"\0"
        attributes[18] = struct.pack("=HH", 4 + len(value), 1) + value
    if master:
        attributes[10] = struct.pack("=I", master)
    return netlink.Record(struct.pack("=BBHiII", 0, 0, 1, index, flags, 0), attributes)


def _address(index: int, address: str, prefix: int, flags: int = 0, **attributes: bytes) -> netlink.Record:
    """An address as Linux reports it (linux/if_addr.h)."""
    value = ipaddress.ip_address(address).packed
    named = {int(number.removeprefix("a")): each for number, each in attributes.items()}
    fixed = struct.pack("=BBBBI", 2 if len(value) == 4 else 10, prefix, flags, 0, index)
    return netlink.Record(fixed, {1: value, **named})


UP, RUNNING, BROADCAST, LOOPBACK, POINT, NO_ARP, MULTICAST = 0x1, 0x40, 0x2, 0x8, 0x10, 0x80, 0x1000
ETHERNET = UP | RUNNING | BROADCAST | MULTICAST


def _read(
    monkeypatch: pytest.MonkeyPatch,
    links: list[netlink.Record],
    addresses: list[netlink.Record] | None = None,
) -> dict[str, Interface]:
    records = {netlink.GET_LINK: links, netlink.GET_ADDRESS: addresses or []}
    monkeypatch.setattr(netlink, "AVAILABLE", True)
    monkeypatch.setattr(netlink, "dump", records.__getitem__)
    found = interfaces()
    assert [each.index for each in found] == sorted(each.index for each in found)
    return {each.name: each for each in found}


@pytest.mark.parametrize(
    ("flags", "name", "kind", "expected"),
    [
        (ETHERNET, "eth0", "", Kind.LAN),
        (ETHERNET | LOOPBACK, "lo", "", Kind.LOOPBACK),
        (ETHERNET, "eth0", "dummy", Kind.VIRTUAL),
        (ETHERNET, "br0", "bridge", Kind.VIRTUAL),
        (ETHERNET, "vboxnet0", "", Kind.VIRTUAL),
        (ETHERNET, "vmnet8", "", Kind.VIRTUAL),
        (ETHERNET, "vmn", "", Kind.LAN),
        (ETHERNET & ~BROADCAST, "a", "", Kind.TUNNEL),
        (ETHERNET & ~MULTICAST, "a", "", Kind.TUNNEL),
        (ETHERNET | POINT, "a", "", Kind.TUNNEL),
        (ETHERNET | NO_ARP, "a", "", Kind.TUNNEL),
    ],
)
def test_the_kind_of_a_link_by_its_flags_kind_and_name(
    monkeypatch: pytest.MonkeyPatch, flags: int, name: str, kind: str, expected: Kind
) -> None:
    assert _read(monkeypatch, [_link(2, name, flags, kind)])[name].kind is expected


@pytest.mark.parametrize(("flags", "up"), [(UP | RUNNING, True), (UP, False), (RUNNING, False), (0, False)])
def test_an_interface_is_up_when_it_also_runs(monkeypatch: pytest.MonkeyPatch, flags: int, up: bool) -> None:
    assert _read(monkeypatch, [_link(2, "eth0", flags | BROADCAST)])["eth0"].up is up


def test_ports_are_no_interfaces_and_a_bridge_with_a_wire_is_a_lan(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _read(
        monkeypatch,
        [
            _link(9, "wire", ETHERNET, master=4),
            _link(4, "br0", ETHERNET, "bridge"),
            _link(5, "br1", ETHERNET, "bridge"),
            _link(6, "leaf", ETHERNET, "veth", master=5),
            _link(7, "machine", ETHERNET, "tun", master=5),
            _link(8, "vrf0", ETHERNET, "vrf"),
            _link(3, "eth1", ETHERNET, master=8),
            _link(2, "eth0", ETHERNET, master=77),
        ],
    )
    assert {name: each.kind for name, each in found.items()} == {
        "eth0": Kind.LAN,
        "eth1": Kind.LAN,
        "br0": Kind.LAN,
        "br1": Kind.VIRTUAL,
        "vrf0": Kind.LAN,
    }


def test_addresses_are_the_local_ones_that_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = [
        _address(2, "10.0.0.1", 24, 0x01),
        _address(3, "10.9.9.9", 32, a2=bytes([10, 0, 0, 2])),
        *(
            _address(2, f"fd00::{flag:x}", 64, flag)
            for flag in (0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80)
        ),
        _address(2, "fe80::1", 64, 0x20, a8=struct.pack("=I", 0x80)),
        _address(2, "fe80::2", 64, 0, a8=struct.pack("=I", 0x120)),
        netlink.Record(struct.pack("=BBBBI", 2, 8, 0, 0, 2), {1: bytes(5)}),
        netlink.Record(struct.pack("=BBBBI", 2, 8, 0, 0, 2), {}),
    ]
    found = _read(monkeypatch, [_link(2, "eth0", ETHERNET), _link(3, "ppp0", UP | POINT)], addresses)
    assert found["eth0"].networks == (
        "10.0.0.1/24", "fd00::2/64", "fd00::4/64", "fd00::10/64", "fd00::80/64", "fe80::1/64"
    )  # fmt: skip
    assert found["ppp0"].networks == ("10.0.0.2/32",)


def _adapter(name: str, *networks: str, index: int | None = 3) -> ifaddr.Adapter:
    ips = []
    for network in networks:
        address, _, prefix = network.partition("/")
        ips.append(ifaddr.IP((address, 0, 4) if ":" in address else address, int(prefix), name))
    return ifaddr.Adapter(name, name, ips, index)


@pytest.mark.parametrize(
    ("name", "networks", "kind"),
    [
        ("en0", ("10.0.0.1/24", "fe80::1%en0/64"), Kind.LAN),
        ("en0", ("127.0.0.1/8", "10.0.0.1/24"), Kind.LAN),
        ("lo0", ("127.0.0.1/8", "::1/128"), Kind.LOOPBACK),
        ("UTUN3", ("10.0.0.1/24",), Kind.TUNNEL),
        ("Docker Desktop", ("10.0.0.1/24",), Kind.VIRTUAL),
    ],
)
def test_elsewhere_the_name_tells_the_kind(
    monkeypatch: pytest.MonkeyPatch, name: str, networks: tuple[str, ...], kind: Kind
) -> None:
    monkeypatch.setattr(netlink, "AVAILABLE", False)
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [_adapter(name, *networks)])
    plain = tuple(network.replace("%en0", "") for network in networks)
    assert interfaces() == (Interface(name, 3, kind, True, plain),)


def test_an_adapter_without_an_index_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netlink, "AVAILABLE", False)
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [_adapter("en0", "10.0.0.1/24", index=None)])
    assert [each.index for each in interfaces()] == [0]


def test_an_interface_has_a_scope_if_it_is_up_and_has_a_link_local_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "interfaces", lambda: [LO, ETH, down(WLAN), VPN, PUBLIC, V6_ONLY])
    assert module.scopes() == (ETH.index, PUBLIC.index)


def test_the_state_of_the_network_is_what_is_up_and_leads_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "interfaces", lambda: [LO, ETH, down(WLAN), VPN, DOCKER])
    up = frozenset((each.name, each.index, each.networks) for each in (LO, ETH, VPN))
    assert module.network_state() == up


def test_the_clock_that_counts_sleep_is_the_time_since_the_start_of_the_machine_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "CLOCK_BOOTTIME", 7, raising=False)
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: clock * 10**10, raising=False)
    assert module.time_with_sleep() == 70.0
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    monkeypatch.setattr(time, "CLOCK_MONOTONIC", 5, raising=False)
    assert module.time_with_sleep() == 50.0
