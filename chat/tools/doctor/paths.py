"""Causes between this terminal and others: routes, stale addresses, a changed network, client isolation."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

from chat.errors import NOTHING_SAID, Phrase, phrase
from chat.interface import DiagnosisView
from chat.network import netlink, probe
from chat.network.interfaces import Interface, Kind, own_addresses
from chat.tools.doctor import firewall
from chat.tools.doctor.firewall import Why, astray, blamed, has_moved, is_alone, listed, routed
from chat.tools.doctor.gather import Context, Evidence

ROUTES_CHECK = phrase("route")
_VPN = phrase("Allow the local network in the settings of the VPN, or disconnect it.")
_REMOVE = phrase("Remove the route that leads there (ip route shows it), or reconnect to the network.")


class _Stray(Struct, frozen=True):
    to: str
    interface: Interface
    way: int


def route_lines(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    """One line per network whose packets go elsewhere; one good line if there is none."""
    if not netlink.AVAILABLE or not any(each.kind is Kind.LAN for each in evidence.lan):
        return []
    if strays := list(_strays(evidence)):
        return [_line(stray, evidence) for stray in strays]
    said = phrase("the local network is reachable directly; internet access is not needed")
    return [DiagnosisView(ROUTES_CHECK, True, said)]


def _strays(evidence: Evidence) -> Iterator[_Stray]:
    """Networks first; places only where their network as a whole is routed correctly."""
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
    network, name = stray.to, stray.interface.name
    other = next((each for each in evidence.interfaces if each.index == stray.way), None)
    if stray.way:
        way = other.name if other is not None else phrase("another interface")
        said = phrase(
            "packets for {network} on {interface} go to {other}", network=network, interface=name, other=way
        )
    else:
        said = phrase("packets for {network} on {interface} have no route", network=network, interface=name)
    fix = _REMOVE if other is None or other.kind is not Kind.TUNNEL else _VPN
    return DiagnosisView(ROUTES_CHECK, False, said, fix)


class Company(StrEnum):
    HEARD = "heard"  # others, by multicast
    UNHEARD = "unheard"  # Parlour answers on this network, and yet nobody is heard
    SEEN = "seen"  # another machine answers, and may have nothing to say by multicast
    MOVED = "moved"  # nobody shows on the network that this machine has come to
    ONLY_ROUTER = "only router"
    NO_ROUTER = "no router"  # there should be one, and it does not answer either
    NOBODY = "nobody"
    UNKNOWN = "unknown"  # this machine's own doing hides it


def company(context: Context, evidence: Evidence) -> Company:
    if not evidence.lan or firewall.stops(context, evidence) or list(_strays(evidence)):
        return Company.UNKNOWN
    if context.heard or evidence.heard:
        return Company.HEARD
    if not is_alone(context, evidence):
        near = (finding for finding in evidence.findings if any(visit.on for visit in finding.visits))
        return Company.UNHEARD if any(finding.greeted for finding in near) else Company.SEEN
    if evidence.routers and not any(evidence.routers.values()):
        return Company.NO_ROUTER
    if has_moved(context.began, evidence):
        return Company.MOVED
    if not echoed(evidence):
        return Company.UNKNOWN
    return Company.ONLY_ROUTER if evidence.routers else Company.NOBODY


def echoed(evidence: Evidence) -> bool:
    """Whether any multicast came back on a network."""
    of_lan = {interface.index for interface in evidence.lan}
    return any(
        isinstance(echo, probe.Heard) and echo.itself
        for (index, _), echo in evidence.echoes.items()
        if index in of_lan
    )


STALE_CHECK = phrase("address")
_OPEN = phrase("Ask the other person to open Parlour there: parlour, or parlour listen.")
_AGAIN = phrase(
    "Ask the other person to open Parlour there again. If it is open, check the firewall of that machine: "
    "parlour doctor there names a rule that refuses connections."
)
_NEW = phrase(
    "Ask the other person for the address that Parlour shows now: parlour pair --address HOST:PORT."
)


def stale_lines(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    return [DiagnosisView(STALE_CHECK, False, said, fix) for said, fix in _said(context, evidence)]


def _said(context: Context, evidence: Evidence) -> Iterator[tuple[Phrase, Phrase]]:
    if found := blamed(context, evidence, Why.SOMEBODY_ELSE):
        yield phrase("another device answers at {addresses}", addresses=listed(found)), _NEW
    if found := blamed(context, evidence, Why.SOMETHING_ELSE):
        yield phrase("another program answers at {addresses}", addresses=listed(found)), _NEW
    if found := blamed(context, evidence, Why.ENDED):
        said = phrase(
            "Parlour at {addresses} has ended, or its announcement is stale", addresses=listed(found)
        )
        yield said, _AGAIN
    if found := blamed(context, evidence, Why.CLOSED):
        yield phrase("Parlour is not open at {addresses}", addresses=listed(found)), _OPEN
    if found := blamed(context, evidence, Why.GONE):
        yield phrase("nothing answers at {addresses} any more", addresses=listed(found)), _NEW


CHANGES_CHECK = phrase("changed network")
_MEET = phrase("Join the same network, or give the other person your new address: parlour invite.")
_INVITE = phrase("Create a new invitation: parlour invite.")


def change_lines(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    lines = []
    if elsewhere := blamed(context, evidence, Why.ELSEWHERE):
        said = phrase("not on any network of this machine: {addresses}", addresses=listed(elsewhere))
        lines.append(DiagnosisView(CHANGES_CHECK, False, said, _MEET))
    elif has_moved(context.began, evidence):
        before, now = routed(context.began)[0], routed(own_addresses(evidence.interfaces))[0]
        said = phrase("{before} became {now} since Parlour was opened", before=before, now=now)
        alone = company(context, evidence) is Company.MOVED
        lines.append(DiagnosisView(CHANGES_CHECK, not alone, said, _MEET if alone else NOTHING_SAID))
    if has_moved(context.promised, evidence):
        said = phrase(
            "an open invitation contains {address}, which this machine no longer has",
            address=routed(context.promised)[0],
        )
        lines.append(DiagnosisView(CHANGES_CHECK, False, said, _INVITE))
    return lines


ISOLATION_CHECK = phrase("isolation")
_FIX = phrase(
    "If others are here, the access point isolates devices (guest network, client isolation): turn that off, "
    "use another network or a cable, or use a relay (parlour relays add ADDRESS)."
)


def isolation_lines(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    if apart := blamed(context, evidence, Why.APART):
        said = phrase("heard from {addresses}, but packets do not arrive there", addresses=listed(apart))
        return [DiagnosisView(ISOLATION_CHECK, False, said, _FIX)]
    if context.heard is None or company(context, evidence) is not Company.ONLY_ROUTER:
        return []
    router = next(router.address for router, answers in evidence.routers.items() if answers)
    said = phrase("the router {address} answers, but no other device is visible here", address=router)
    return [DiagnosisView(ISOLATION_CHECK, False, said, _FIX)]
