"""Does a firewall on this machine keep other terminals out, or this one in?"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from chat.doctor.context import Context
from chat.doctor.remedies import command
from chat.doctor.routes import neighbour
from chat.doctor.rules import Packet, Verdict
from chat.doctor.tables import Source, Tables, read_tables
from chat.interface import DiagnosisView
from chat.network import probe
from chat.network.interfaces import Interface, Kind, outward
from chat.phrases import Phrase, phrase

CHECK = phrase("firewall")
DEFAULT_PORT = 4747  # the one that a first engine would take
_ANY_PORT = 40_000  # from which a connection comes does not matter


async def check(context: Context, found: Sequence[Interface]) -> list[DiagnosisView]:
    """A line for each kind of packet that is stopped, with the rule and the command that lets it pass."""
    shown = [interface for interface in outward(found) if interface.kind is not Kind.LOOPBACK]
    if not shown:
        return []
    if sys.platform != "linux":
        said = phrase("not looked at on this system: it must let {ports} in", ports=_wanted(context))
        return [DiagnosisView(CHECK, True, said)]
    tables = await read_tables()
    if tables.unreadable:
        return [_unreadable(context, tables)]
    if stopped := list(_stopped(context, shown, tables)):
        return stopped
    lets = phrase("lets {ports} in and out", ports=_wanted(context))
    return [DiagnosisView(CHECK, True, lets if tables.sources else phrase("there is none"))]


def _wanted(context: Context) -> Phrase:
    if context.port:
        return phrase("TCP port {tcp} and UDP port {udp}", tcp=context.port, udp=probe.PORT)
    return phrase("UDP port {udp}", udp=probe.PORT)


def _unreadable(context: Context, tables: Tables) -> DiagnosisView:
    if not tables.program:
        said = phrase("rules can be read by root only; no firewall program is known to be on")
        return DiagnosisView(CHECK, True, said)
    said = phrase(
        "{program} is on, and only root can read whether it lets {ports} in",
        program=tables.program,
        ports=_wanted(context),
    )
    connection = Packet("tcp", "", "", _ANY_PORT, context.port or DEFAULT_PORT, "")
    return DiagnosisView(CHECK, False, said, command(tables.program, connection, ""))


def _stopped(context: Context, shown: Sequence[Interface], tables: Tables) -> Iterator[DiagnosisView]:
    """What is stopped, each kind of packet once, with the first rule that does it."""
    told: set[str] = set()
    for what, packet in _packets(context, shown):
        for source in tables.sources:
            verdict = source.judge(packet)
            if not verdict.passes and what not in told:
                told.add(what)
                yield _line(what, packet, source, verdict)


def _packets(context: Context, shown: Sequence[Interface]) -> Iterator[tuple[Phrase, Packet]]:
    """What has to pass: (in words, packet), for each network of each interface."""
    for interface in shown:
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
                yield (
                    phrase("lets no connection out to the local network"),
                    Packet("tcp", own, other, _ANY_PORT, context.port, interface.name, incoming=False),
                )
            yield (
                phrase("lets no multicast DNS in"),
                Packet("udp", other, group, probe.PORT, probe.PORT, interface.name),
            )
            yield (
                phrase("lets no multicast DNS out"),
                Packet("udp", own, group, probe.PORT, probe.PORT, interface.name, incoming=False),
            )


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
