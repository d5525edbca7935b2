"""Does what is meant for the local network go there, or does a VPN take it away?"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator, Sequence

from chat.doctor.context import Context
from chat.interface import DiagnosisView
from chat.network import netlink
from chat.network.addresses import is_local
from chat.network.interfaces import Interface, Kind, outward
from chat.phrases import Phrase, phrase

CHECK = phrase("route")
_OUT_INTERFACE = 4  # RTA_OIF
_FIX = phrase("Allow the local network in the settings of the VPN, or disconnect it.")


async def check(context: Context, found: Sequence[Interface]) -> list[DiagnosisView]:
    """One line for each network whose packets would go elsewhere; one good line if there is none."""
    if not netlink.AVAILABLE:
        return []
    names = {interface.index: interface.name for interface in found}
    checked = [
        (each, network) for each in outward(found) if each.kind is Kind.LAN for network in each.networks
    ]
    astray = list(_astray(checked, names))
    if astray or not checked:
        return astray
    said = phrase("the local network is reached directly; no way to the internet is needed")
    return [DiagnosisView(CHECK, True, said)]


def neighbour(network: str) -> str:
    """The address of somebody else in ADDRESS/PREFIX; empty where there is room for nobody."""
    own = ipaddress.ip_interface(network)
    if own.network.num_addresses < 4:
        return ""
    first = own.network.network_address + 1
    return str(first if first != own.ip else first + 1)


def _astray(checked: Sequence[tuple[Interface, str]], names: dict[int, str]) -> Iterator[DiagnosisView]:
    for interface, network in checked:
        other = neighbour(network)
        # Link-local IPv6 has no routes to go astray: the interface is part of the address.
        if not other or not is_local(other) or ":" in other:
            continue
        way = _interface_to(other)
        if way != interface.index:
            yield DiagnosisView(CHECK, False, _led(network, interface.name, way, names), _FIX)


def _led(network: str, interface: str, way: int, names: dict[int, str]) -> Phrase:
    if not way:
        return phrase(
            "what is meant for {network} on {interface} goes nowhere", network=network, interface=interface
        )
    other = names[way] if way in names else phrase("another interface")
    return phrase(
        "what is meant for {network} on {interface} goes to {other}",
        network=network,
        interface=interface,
        other=other,
    )


def _interface_to(address: str) -> int:
    """Index of the interface by which the kernel would send; 0 if it would not."""
    way = netlink.route(socket.AF_INET, socket.inet_aton(address))
    index = way.attributes.get(_OUT_INTERFACE, b"") if way else b""
    return int(struct.unpack("=I", index)[0]) if len(index) == 4 else 0
