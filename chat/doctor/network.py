"""Is there a local network at all, and which addresses has this machine on it?"""

from __future__ import annotations

from collections.abc import Sequence

from chat.doctor.context import Context
from chat.interface import DiagnosisView
from chat.network.addresses import is_local
from chat.network.interfaces import Interface, Kind, outward
from chat.phrases import Phrase, phrase

CHECK = phrase("network")
_CONNECT = phrase(
    "Connect to a network by cable or Wi-Fi; another terminal on this very machine works without."
)


async def check(context: Context, found: Sequence[Interface]) -> list[DiagnosisView]:
    """One line for the local network, one for tunnels (VPN) beside it."""
    shown = outward(found)
    lines = [_local(shown) if _is_network(shown) else _none(found)]
    if tunnels := [each for each in found if each.kind is Kind.TUNNEL and each.up and each not in shown]:
        lines.append(_tunnels(tunnels))
    return lines


def _is_network(shown: Sequence[Interface]) -> bool:
    return any(interface.kind is not Kind.LOOPBACK for interface in shown)


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
