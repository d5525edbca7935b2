"""Is there a local network at all, and which addresses has this machine on it?"""

from __future__ import annotations

from collections.abc import Sequence

from chat.doctor.context import Context
from chat.interface import DiagnosisView
from chat.network.addresses import is_local
from chat.network.interfaces import Interface, Kind, outward

CHECK = "network"
_CONNECT = "Connect to a network by cable or Wi-Fi; another terminal on this very machine works without."


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
    return DiagnosisView(CHECK, True, said)


def _local_addresses(interface: Interface) -> list[str]:
    return [address for address in interface.addresses if is_local(address)]


def _none(found: Sequence[Interface]) -> DiagnosisView:
    """Say what is nearest to a network."""
    cables = [each.name for each in found if each.kind is Kind.LAN and not each.up]
    public = [each for each in found if each.kind is Kind.LAN and each.up and each.addresses]
    bare = [each.name for each in found if each.kind is Kind.LAN and each.up and not each.addresses]
    if public:
        said = f"{public[0].name} has only addresses outside local networks: {', '.join(public[0].addresses)}"
        return DiagnosisView(
            CHECK, False, said, "Parlour reaches local addresses only: use a private network."
        )
    if bare:
        fix = "Wait for the network to give an address, or set one by hand."
        return DiagnosisView(CHECK, False, f"{bare[0]} has no address", fix)
    said = f"no connection on {', '.join(cables)}" if cables else "no network interface but loopback"
    return DiagnosisView(CHECK, False, said, _CONNECT)


def _tunnels(tunnels: Sequence[Interface]) -> DiagnosisView:
    names = ", ".join(interface.name for interface in tunnels)
    said = f"{names} (VPN) is up: multicast does not cross it; reach a contact behind it by its address"
    return DiagnosisView("vpn", True, said)
