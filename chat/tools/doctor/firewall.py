"""Why a terminal is not reached, and whether a firewall is the reason, with the command that mends it.

Each terminal has one cause, so that no two lines blame two things for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from chat.errors import Phrase, phrase
from chat.interface import DiagnosisView
from chat.network import probe
from chat.network.connection import format_address
from chat.network.interfaces import own_addresses
from chat.tools.doctor.gather import Answer, Context, Evidence, Finding, Source, Visit, neighbour
from chat.tools.doctor.packet_filters import Packet, Verdict
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


def departing(evidence: Evidence, finding: Finding) -> Iterator[Packet]:
    """The first packets to those places of a terminal that are on a local network."""
    for visit in finding.visits:
        interface = next((each for each in evidence.interfaces if each.index == visit.on), None)
        if interface is not None:
            is_v6 = ":" in visit.host
            own = next(each for each in interface.addresses if (":" in each) == is_v6)
            yield Packet("tcp", own, visit.host, _ANY_PORT, visit.port, interface.name, incoming=False)


SHOWN_MAX = 2  # addresses in one line


def listed(findings: Iterable[Finding]) -> str:
    """The first address of each terminal, those on a local network first."""
    firsts = [min(each.visits, key=lambda visit: (visit.is_scoped, not visit.on)) for each in findings]
    shown = list(dict.fromkeys(format_address(first.host, first.port) for first in firsts))
    more = f" (+{len(shown) - SHOWN_MAX})" if len(shown) > SHOWN_MAX else ""
    return ", ".join(shown[:SHOWN_MAX]) + more


def command(program: str, packet: Packet, base: str) -> Phrase:
    """A line to type, for ufw, firewalld, iptables, ip6tables or nft. `base`: nft's "FAMILY TABLE CHAIN"."""
    if program == "ufw":
        allowed = f"{packet.port}/{packet.protocol}" if packet.incoming else f"out on {packet.interface}"
        return Phrase(f"sudo ufw allow {allowed}")
    if program == "firewalld" and packet.incoming:
        what = "service=mdns" if packet.protocol == "udp" else f"port={packet.port}/tcp"
        return Phrase(f"sudo firewall-cmd --permanent --add-{what} && sudo firewall-cmd --reload")
    if program == "nft":
        return Phrase(f"sudo nft insert rule {base} {_nft(packet)} accept")
    tool = program if program in ("iptables", "ip6tables") else "ip6tables" if packet.is_v6 else "iptables"
    return Phrase(f"sudo {tool} {_iptables(packet)} -j ACCEPT")


def _nft(packet: Packet) -> str:
    if packet.incoming:
        return f"{packet.protocol} dport {packet.port}"
    # Others listen on ports of their own: what goes out to the local network must not depend on one.
    port = f"dport {packet.port}" if packet.protocol == "udp" else "dport 1-65535"
    return f"oifname {packet.interface} {packet.protocol} {port}"


def _iptables(packet: Packet) -> str:
    if packet.incoming:
        return f"-I INPUT -p {packet.protocol} --dport {packet.port}"
    port = f" --dport {packet.port}" if packet.protocol == "udp" else ""
    return f"-I OUTPUT -o {packet.interface} -p {packet.protocol}{port}"


CHECK = phrase("firewall")
DEFAULT_PORT = 4747  # the one that a first engine would take
_THERE = phrase("Allow Parlour's port in the firewall of that machine: parlour doctor there names the rule.")


def lines(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    """One line per kind of packet that is stopped, with the rule and the command that allows it."""
    found = _own(context, evidence) if evidence.lan else []
    if kept_out := blamed(context, evidence, Why.KEPT_OUT):
        at = listed(kept_out)
        said = phrase("a machine at {addresses} is on the network but accepts no connections", addresses=at)
        found.append(DiagnosisView(CHECK, False, said, _THERE))
    return found


def stops(context: Context, evidence: Evidence) -> bool:
    return any(True for _ in _stopped(context, evidence))


def _own(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    tables, ports = evidence.tables, phrase("UDP port {udp}", udp=probe.PORT)
    if context.port:
        ports = phrase("TCP port {tcp} and UDP port {udp}", tcp=context.port, udp=probe.PORT)
    if tables is None:
        said = phrase("not looked at on this system: it must let {ports} in", ports=ports)
        return [DiagnosisView(CHECK, True, said)]
    if tables.unreadable and not tables.program:
        said = phrase("rules can be read by root only; no firewall program is known to be on")
        return [DiagnosisView(CHECK, True, said)]
    if tables.unreadable:
        said = phrase(
            "{program} is on, and only root can read whether it lets {ports} in",
            program=tables.program,
            ports=ports,
        )
        connection = Packet("tcp", "", "", _ANY_PORT, context.port or DEFAULT_PORT, "")
        return [DiagnosisView(CHECK, False, said, command(tables.program, connection, ""))]
    stopped = []
    for what, packet, source, verdict in _stopped(context, evidence):
        program = source.program(verdict)
        said = phrase(
            "{program} {does} on {interface}: {rule}",
            program=program,
            does=what,
            interface=packet.interface,
            rule=verdict.rule,
        )
        stopped.append(DiagnosisView(CHECK, False, said, command(program, packet, verdict.base)))
    if stopped:
        return stopped
    lets = phrase("lets {ports} in and out", ports=ports)
    return [DiagnosisView(CHECK, True, lets if tables.sources else phrase("there is none"))]


def _stopped(context: Context, evidence: Evidence) -> Iterator[tuple[Phrase, Packet, Source, Verdict]]:
    """Each kind of packet that is stopped, with the first rule that stops it."""
    told: set[str] = set()
    sources = evidence.tables.sources if evidence.tables is not None else ()
    for what, packet in _packets(context, evidence):
        for source in sources:
            verdict = source.judge(packet)
            if not verdict.passes and what not in told:
                told.add(what)
                yield what, packet, source, verdict


def _packets(context: Context, evidence: Evidence) -> Iterator[tuple[Phrase, Packet]]:
    """(in words, packet) of what must pass, per network of each interface and per known place."""
    out = phrase("lets no connection out to the local network")
    for interface in evidence.lan:
        for network in interface.networks:
            own, other = network.partition("/")[0], neighbour(network)
            if not other:
                continue
            group = probe.GROUP_V6 if ":" in own else probe.GROUP_V4
            if context.port:
                yield (
                    phrase("keeps TCP port {port} closed to others", port=context.port),
                    Packet("tcp", other, own, _ANY_PORT, context.port, interface.name),
                )
                yield out, Packet("tcp", own, other, _ANY_PORT, context.port, interface.name, incoming=False)
            yield (
                phrase("lets no multicast DNS in"),
                Packet("udp", other, group, probe.PORT, probe.PORT, interface.name),
            )
            yield (
                phrase("lets no multicast DNS out"),
                Packet("udp", own, group, probe.PORT, probe.PORT, interface.name, incoming=False),
            )
    yield from ((out, packet) for finding in evidence.findings for packet in departing(evidence, finding))
