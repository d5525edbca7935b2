"""Does multicast, by which terminals find each other, leave this machine, come back, and bring others?

Rules: a question that does not even come back is this machine's doing; where Parlour answers by address and
nobody is heard, the network holds multicast back; silence alone is said, and not explained.
"""

from __future__ import annotations

import socket

from chat.doctor.company import Company, company, echoed
from chat.doctor.context import Context
from chat.doctor.evidence import Echo, Evidence
from chat.doctor.firewall import stops
from chat.interface import DiagnosisView
from chat.network import probe
from chat.network.interfaces import Interface, outward
from chat.phrases import phrase

CHECK = phrase("multicast")
OTHERS = phrase("others")
_SILENT = phrase(
    "Allow UDP port 5353 in the firewall of this machine. "
    "Until then reach the other terminal by its address: parlour pair --address HOST:PORT."
)
_FILTERED = phrase(
    "Allow multicast (mDNS) in the access point or switch. "
    "Until then reach others by address: parlour pair --address HOST:PORT."
)
_NOBODY = phrase("Open Parlour on the other machine, and see that both are on the same network.")


def lines(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    """One line an interface on which this terminal shows itself, and one for the others."""
    if stops(context, evidence) and not echoed(evidence):
        return []  # the line of the firewall says why
    own = [_line(interface, _of(interface, evidence)) for interface in outward(evidence.interfaces)]
    return [*own, *_others(context, evidence)] if any(line.good for line in own) else own


def _of(interface: Interface, evidence: Evidence) -> dict[socket.AddressFamily, Echo]:
    return {family: echo for (index, family), echo in evidence.echoes.items() if index == interface.index}


def _line(interface: Interface, echoes: dict[socket.AddressFamily, Echo]) -> DiagnosisView:
    """Good when it works by one family: discovery speaks both."""
    names = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
    works = [
        names[family] for family, echo in echoes.items() if isinstance(echo, probe.Heard) and echo.itself
    ]
    if works:
        by = phrase("{first} and {second}", first=works[0], second=works[1]) if works[1:] else works[0]
        said = phrase("{interface}: out and back by {families}", interface=interface.name, families=by)
        return DiagnosisView(CHECK, True, said)
    for echo in echoes.values():
        if isinstance(echo, OSError):
            return _unsent(interface.name, echo)
    said = phrase("{interface}: what was sent did not come back", interface=interface.name)
    return DiagnosisView(CHECK, False, said, _SILENT)


def _unsent(interface: str, error: OSError) -> DiagnosisView:
    said = phrase("{interface}: cannot be sent: {reason}", interface=interface, reason=str(error.strerror))
    fix = phrase(
        "Switch multicast on for {interface} (sudo ip link set {interface} multicast on).",
        interface=interface,
    )
    return DiagnosisView(CHECK, False, said, fix)


def _others(context: Context, evidence: Evidence) -> list[DiagnosisView]:
    """Nobody heard is suspicious only when the engine has not found anybody either."""
    if context.heard:
        said = phrase("{number} other terminals are known here", number=context.heard)
        return [DiagnosisView(OTHERS, True, said)]
    if evidence.heard:
        said = phrase("{number} other addresses speak multicast here", number=len(evidence.heard))
        return [DiagnosisView(OTHERS, True, said)]
    nobody = phrase("nobody else was heard by multicast")
    match company(context, evidence):
        case Company.UNHEARD:
            said = phrase("Parlour answers by address, and nobody is heard: the network filters multicast")
            return [DiagnosisView(CHECK, False, said, _FILTERED)]
        case Company.NOBODY if context.heard is not None:
            return [DiagnosisView(OTHERS, False, nobody, _NOBODY)]
        case _:
            return [DiagnosisView(OTHERS, True, nobody)]
