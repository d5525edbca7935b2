"""Is there a local network at all, is there life on it, and which addresses has this machine on it?

Rules: what is nearest to a network is said; a router that is known and silent, alone, tells that a wire leads
nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from chat.doctor.company import Company, company
from chat.doctor.context import Context
from chat.doctor.evidence import Evidence
from chat.interface import DiagnosisView
from chat.network.addresses import is_local
from chat.network.interfaces import Interface, Kind, outward
from chat.phrases import Phrase, phrase

CHECK = phrase("network")
_CONNECT = phrase(
    "Connect to a network by cable or Wi-Fi; another terminal on this very machine works without."
)
_RECONNECT = phrase("Disconnect from the network and connect again; look at its cables.")


def lines(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    """One line for the local network, one for tunnels (VPN) beside it."""
    found, shown = evidence.interfaces, outward(evidence.interfaces)
    if not evidence.lan:
        said = _none(found)
    elif company(context, evidence) is Company.NO_ROUTER:
        said = _cut_off(evidence)
    else:
        said = _local(shown)
    if tunnels := [each for each in found if each.kind is Kind.TUNNEL and each.up and each not in shown]:
        return [said, _tunnels(tunnels)]
    return [said]


def _cut_off(evidence: Evidence) -> DiagnosisView:
    said = phrase(
        "{interface} is connected, and nobody answers there, not even the router {address}",
        interface=evidence.lan[0].name,
        address=next(iter(evidence.routers)).address,
    )
    return DiagnosisView(CHECK, False, said, _RECONNECT)


def _local(shown: Sequence[Interface]) -> DiagnosisView:
    said = "; ".join(f"{each.name}: {', '.join(_local_addresses(each))}" for each in shown)
    return DiagnosisView(CHECK, True, Phrase(said))


def _local_addresses(interface: Interface) -> list[str]:
    return [address for address in interface.addresses if is_local(address)]


def _none(found: Sequence[Interface]) -> DiagnosisView:
    """Say what is nearest to a network."""
    cables = [each.name for each in found if each.kind is Kind.LAN and not each.up]
    public = [each for each in found if each.kind is Kind.LAN and each.up and each.addresses]
    bare = [each.name for each in found if each.kind is Kind.LAN and each.up and not each.addresses]
    if public:
        return _public(public[0])
    if bare:
        fix = phrase("Wait for the network to give an address, or set one by hand.")
        return DiagnosisView(CHECK, False, phrase("{interface} has no address", interface=bare[0]), fix)
    if cables:
        said = phrase("no connection on {interfaces}", interfaces=", ".join(cables))
    else:
        said = phrase("no network interface but loopback")
    return DiagnosisView(CHECK, False, said, _CONNECT)


def _public(interface: Interface) -> DiagnosisView:
    said = phrase(
        "{interface} has only addresses outside local networks: {addresses}",
        interface=interface.name,
        addresses=", ".join(interface.addresses),
    )
    fix = phrase("Parlour reaches local addresses only: use a private network.")
    return DiagnosisView(CHECK, False, said, fix)


def _tunnels(tunnels: Sequence[Interface]) -> DiagnosisView:
    names = ", ".join(interface.name for interface in tunnels)
    said = phrase(
        "{names} (VPN) is up: multicast does not cross it; reach a contact behind it by its address",
        names=names,
    )
    return DiagnosisView(phrase("vpn"), True, said)
