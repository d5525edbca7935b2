"""Does what is meant for the local network go there, or does a VPN or another interface take it away?

Rules: the kernel is asked and nothing is sent; a tunnel is told from a second network card, for the remedies
differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chat.doctor.context import Context
from chat.doctor.evidence import Evidence
from chat.doctor.verdicts import astray
from chat.interface import DiagnosisView
from chat.network import netlink
from chat.network.interfaces import Interface, Kind
from chat.phrases import Phrase, phrase

CHECK = phrase("route")
_VPN = phrase("Allow the local network in the settings of the VPN, or disconnect it.")
_REMOVE = phrase("Remove the route that leads there (ip route shows it), or join the network anew.")


@dataclass(frozen=True, slots=True)
class _Stray:
    """What is meant for `to`, an address or a network of `interface`, goes by `way` (0: nowhere)."""

    to: str
    interface: Interface
    way: int


def lines(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    """One line for each network whose packets would go elsewhere; one good line if there is none."""
    if not netlink.AVAILABLE or not any(each.kind is Kind.LAN for each in evidence.lan):
        return []
    if strays := list(_strays(evidence)):
        return [_line(stray, evidence) for stray in strays]
    said = phrase("the local network is reached directly; no way to the internet is needed")
    return [DiagnosisView(CHECK, True, said)]


def leads_astray(context: Context, evidence: Evidence) -> bool:
    """Whether anything meant for an own network goes elsewhere."""
    return any(True for _ in _strays(evidence))


def _strays(evidence: Evidence) -> Iterator[_Stray]:
    """Networks first; a place is told where its network as a whole goes right."""
    told: set[int] = set()
    for interface in evidence.lan:
        for network in interface.networks:
            way = evidence.ways.get((interface.index, network), interface.index)
            if interface.kind is Kind.LAN and way != interface.index:
                told.add(interface.index)
                yield _Stray(network, interface, way)
    for visit in (visit for finding in evidence.findings for visit in finding.visits if astray(visit)):
        interface = next(each for each in evidence.interfaces if each.index == visit.on)
        if interface.kind is Kind.LAN and interface.index not in told:
            told.add(interface.index)
            yield _Stray(visit.host, interface, visit.way)


def _line(stray: _Stray, evidence: Evidence) -> DiagnosisView:
    other = next((each for each in evidence.interfaces if each.index == stray.way), None)
    fix = _REMOVE if other is None or other.kind is not Kind.TUNNEL else _VPN
    return DiagnosisView(CHECK, False, _led(stray, other), fix)


def _led(stray: _Stray, other: Interface | None) -> Phrase:
    if not stray.way:
        return phrase(
            "what is meant for {network} on {interface} goes nowhere",
            network=stray.to,
            interface=stray.interface.name,
        )
    return phrase(
        "what is meant for {network} on {interface} goes to {other}",
        network=stray.to,
        interface=stray.interface.name,
        other=other.name if other is not None else phrase("another interface"),
    )
