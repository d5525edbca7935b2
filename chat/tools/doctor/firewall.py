"""Whether a firewall keeps terminals apart, and the command that lets the packet through."""

from __future__ import annotations

from collections.abc import Iterator

from chat.errors import Phrase, phrase
from chat.interface import DiagnosisView
from chat.network import probe
from chat.tools.doctor.gather import Context, Evidence, Source, neighbour
from chat.tools.doctor.packet_filters import Packet, Verdict
from chat.tools.doctor.verdicts import Why, blamed, departing, listed


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
_ANY_PORT = 40_000  # from which a connection comes does not matter
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
    if stopped := [_line(*each) for each in _stopped(context, evidence)]:
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


def _line(what: Phrase, packet: Packet, source: Source, verdict: Verdict) -> DiagnosisView:
    program = source.program(verdict)
    said = phrase(
        "{program} {does} on {interface}: {rule}",
        program=program,
        does=what,
        interface=packet.interface,
        rule=verdict.rule,
    )
    return DiagnosisView(CHECK, False, said, command(program, packet, verdict.base))
