"""Looking: one question by multicast, a knock at each router and each place of a terminal, a call to relays.

Rules: all of it side by side, so that it takes some three seconds; nothing else is sent, and nothing at all
but to local addresses and to relays that were named; what it means is left to the causes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from chat.doctor.calling import call
from chat.doctor.context import Context, Sought
from chat.doctor.evidence import Echo, Evidence, Finding, Visit
from chat.doctor.knocking import Answer, knock
from chat.doctor.neighbouring import neighbour
from chat.doctor.tables import Tables, read_tables
from chat.network import probe
from chat.network.addresses import is_link_local_v6, is_local
from chat.network.interfaces import Interface, Kind, outward, own_addresses
from chat.network.neighbours import Router, neighbours, routers, way_to

LISTEN: Final = 1.5
"""Seconds: those who answer do so within one (RFC 6762 §6)."""
SOUGHT_MAX: Final = 16
"""Terminals that are looked at, those first that announce themselves now."""
_ANY_PORT: Final = 4747  # whether a router refuses or takes it, it has answered
_Seen = Mapping[tuple[int, str], bytes]


async def gather(context: Context, found: Sequence[Interface]) -> Evidence:
    """Look at everything. Raises OSError where the kernel does not tell."""
    shown = outward(found)
    asked = [(interface, family) for interface in shown for family in _families(interface)]
    known = [router for router in routers() if is_local(router.address)]
    sought = sorted(context.sought, key=lambda each: not each.heard)[:SOUGHT_MAX]
    tables, echoes, answers, findings, replies = await asyncio.gather(
        _tables(shown),
        asyncio.gather(*(_ask(*each) for each in asked)),
        asyncio.gather(*(knock(context.transport, each.address, _ANY_PORT) for each in known)),
        asyncio.gather(*(look_for(context, each, found) for each in sought)),
        asyncio.gather(*(call(relay, context.clock) for relay in context.relays)),
    )
    seen = neighbours()
    there = {
        router: answer is not Answer.NOBODY or (router.index, router.address) in seen
        for router, answer in zip(known, answers, strict=True)
    }
    return Evidence(
        found,
        tables,
        {(each.index, family): echo for (each, family), echo in zip(asked, echoes, strict=True)},
        there,
        _ways(shown),
        tuple(with_the_silent(finding, seen, known) for finding in findings),
        {relay.name: reply for relay, reply in zip(context.relays, replies, strict=True)},
    )


async def _tables(shown: Sequence[Interface]) -> Tables | None:
    if sys.platform != "linux" or all(each.kind is Kind.LOOPBACK for each in shown):
        return None
    return await read_tables()


def _ways(shown: Sequence[Interface]) -> dict[tuple[int, str], int]:
    """Of IPv4 alone: in link-local IPv6 the interface is part of the address, so none goes astray."""
    networks = [(each.index, network) for each in shown for network in each.networks if ":" not in network]
    others = {key: neighbour(key[1]) for key in networks}
    return {key: way_to(other) for key, other in others.items() if is_local(other)}


def _families(interface: Interface) -> list[socket.AddressFamily]:
    has_v4 = any(":" not in address for address in interface.addresses)
    has_v6 = any(":" in address for address in interface.addresses)
    return [socket.AF_INET] * has_v4 + [socket.AF_INET6] * has_v6


async def _ask(interface: Interface, family: socket.AddressFamily) -> Echo:
    try:
        return await probe.ask(interface, family, LISTEN)
    except OSError as error:
        return error


async def look_for(context: Context, sought: Sought, found: Sequence[Interface]) -> Finding:
    """Knock at every place; where Parlour greets, ask whether it is the terminal that is sought."""
    if sought.linked:
        visits = tuple(visited(*place, Answer.PARLOUR, found) for place in sought.places)
        return Finding(sought, visits, is_it=True)
    answers = await asyncio.gather(*(knock(context.transport, *place) for place in sought.places))
    answered = zip(sought.places, answers, strict=True)
    finding = Finding(sought, tuple(visited(*place, answer, found) for place, answer in answered))
    if not finding.greeted or sought.is_it is None:
        return replace(finding, is_it=finding.greeted)
    return replace(finding, is_it=await sought.is_it())


def visited(host: str, port: int, answer: Answer, found: Sequence[Interface]) -> Visit:
    plain = host.partition("%")[0]
    own = _network_of(plain, found)
    if own is None:
        return Visit(host, port, answer)
    by_route = own.kind is Kind.LAN and ":" not in plain and plain not in own_addresses(found)
    return Visit(host, port, answer, own.index, way_to(plain) if by_route else own.index)


def _network_of(address: str, found: Sequence[Interface]) -> Interface | None:
    """The interface that has the address on its network, those first on which this machine shows itself."""
    sought = ipaddress.ip_address(address)
    if is_link_local_v6(address):
        return None
    usable = [*outward(found), *(each for each in found if each.up)]
    on = (
        each
        for each in usable
        for network in each.networks
        if sought in ipaddress.ip_interface(network).network
    )
    return next(on, None)


def with_the_silent(finding: Finding, seen: _Seen, known: Sequence[Router]) -> Finding:
    """Where a machine answered as a neighbour but took no connection, it is there and lets nothing in."""
    # Some access points answer for everybody, with the address of the router.
    routing = {seen.get((router.index, router.address)) for router in known}
    there = {address for (_, address), link_address in seen.items() if link_address not in routing}
    visits = (
        replace(visit, answer=Answer.SILENT)
        if visit.answer is Answer.NOBODY and visit.host.partition("%")[0] in there
        else visit
        for visit in finding.visits
    )
    return replace(finding, visits=tuple(visits))
