"""Why a terminal is not reached. Each has one cause, so that no two lines blame two things for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from chat.network.connection import format_address
from chat.network.interfaces import own_addresses
from chat.tools.doctor.gather import Answer, Context, Evidence, Finding, Visit
from chat.tools.doctor.packet_filters import Packet
from protocol.addresses import is_link_local_v6, is_loopback

_ANY_PORT = 40_000  # from which a connection comes does not matter


class Why(StrEnum):
    """Why a terminal is not reached; NOTHING if it is."""

    NOTHING = "nothing"
    LED_ASTRAY = "led astray"  # packets for it go to another interface than its network is on
    KEPT_IN = "kept in"  # the firewall of this machine lets nothing out to it
    KEPT_OUT = "kept out"  # its machine is there and lets nothing in
    APART = "apart"  # its multicast is heard now, and no packet gets there
    ELSEWHERE = "elsewhere"  # its address is on no network of this machine
    SOMEBODY_ELSE = "somebody else"
    SOMETHING_ELSE = "something else"
    CLOSED = "closed"  # its machine is there, Parlour is not
    ENDED = "ended"  # Parlour is not there, though its announcement is still known
    GONE = "gone"  # nobody answers, while others are there
    ALONE = "alone"  # nobody answers, and nobody else is there


def why(context: Context, evidence: Evidence, finding: Finding) -> Why:
    if finding.is_it:
        return Why.NOTHING
    if finding.greeted:
        return Why.SOMEBODY_ELSE
    near = [visit for visit in finding.visits if visit.on]
    if any(astray(visit) for visit in near):
        return Why.LED_ASTRAY
    sources = evidence.tables.sources if evidence.tables is not None else ()
    packets = departing(evidence, finding)
    if any(not source.judge(packet).passes for packet in packets for source in sources):
        return Why.KEPT_IN
    return _by_answers(context, evidence, finding, near)


def astray(visit: Visit) -> bool:
    """Whether packets for a place on a local network go elsewhere or nowhere."""
    return bool(visit.on) and ":" not in visit.host and visit.way != visit.on


def blamed(context: Context, evidence: Evidence, *causes: Why) -> list[Finding]:
    return [finding for finding in evidence.findings if why(context, evidence, finding) in causes]


def is_alone(context: Context, evidence: Evidence) -> bool:
    """Whether nothing but a router answered by multicast, discovery or connection."""
    answered = any(
        visit.answer is not Answer.NOBODY for finding in evidence.findings for visit in finding.visits
    )
    return not (context.heard or evidence.heard or answered)


def has_moved(before: Iterable[str], evidence: Evidence) -> bool:
    """Whether none of these addresses is left; link-local ones are the same everywhere."""
    old, now = set(routed(before)), set(routed(own_addresses(evidence.interfaces)))
    return bool(old and now and not old & now)


def routed(addresses: Iterable[str]) -> list[str]:
    return [each for each in addresses if not is_link_local_v6(each) and not is_loopback(each)]


def _by_answers(context: Context, evidence: Evidence, finding: Finding, near: list[Visit]) -> Why:
    answers = {visit.answer for visit in finding.visits}
    if Answer.OTHER in answers:
        return Why.SOMETHING_ELSE
    if finding.sought.heard and Answer.REFUSED in answers:
        # An announcement outlives an engine that was killed by an hour. All its places are those of one
        # machine, which lets packets in, so the silence of the others tells nothing.
        return Why.ENDED
    if Answer.SILENT in answers:
        return Why.KEPT_OUT
    if Answer.REFUSED in answers:
        return Why.CLOSED
    if evidence.lan and not near and not all(visit.is_scoped for visit in finding.visits):
        return Why.ELSEWHERE
    if finding.sought.heard:
        speaks = any(visit.host.partition("%")[0] in evidence.heard for visit in finding.visits)
        return Why.APART if speaks else Why.ENDED
    return Why.ALONE if is_alone(context, evidence) else Why.GONE


def departing(evidence: Evidence, finding: Finding) -> Iterator[Packet]:
    """The first packets to those places of a terminal that are on a local network."""
    for visit in finding.visits:
        interface = next((each for each in evidence.interfaces if each.index == visit.on), None)
        if interface is not None:
            is_v6 = ":" in visit.host
            own = next(each for each in interface.addresses if (":" in each) == is_v6)
            yield Packet("tcp", own, visit.host, _ANY_PORT, visit.port, interface.name, incoming=False)


SHOWN_MAX = 2
"""Addresses in one line."""


def listed(findings: Iterable[Finding]) -> str:
    """The first address of each terminal, those on a local network first."""
    firsts = [min(each.visits, key=lambda visit: (visit.is_scoped, not visit.on)) for each in findings]
    shown = list(dict.fromkeys(format_address(first.host, first.port) for first in firsts))
    more = f" (+{len(shown) - SHOWN_MAX})" if len(shown) > SHOWN_MAX else ""
    return ", ".join(shown[:SHOWN_MAX]) + more
