"""Does multicast, by which terminals find each other, leave this machine and come back; is anybody there?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from chat.doctor.context import Context
from chat.interface import DiagnosisView
from chat.network import probe
from chat.network.interfaces import Interface, outward
from chat.phrases import NOTHING_SAID, phrase

CHECK = phrase("multicast")
OTHERS = phrase("others")
LISTEN = 1.5
"""Seconds: those who answer do so within one (RFC 6762 §6)."""
_SILENT = phrase(
    "Allow UDP port 5353 in the firewall of this machine. "
    "Until then reach the other terminal by its address: parlour pair --address HOST:PORT."
)
_ISOLATED = phrase(
    "If the other terminal is open on the same network, the access point may keep devices apart "
    "(guest network, client isolation): use another network or a cable. "
    "Until then reach the other terminal by its address: parlour pair --address HOST:PORT."
)

Answer = probe.Heard | OSError


async def check(context: Context, found: Sequence[Interface]) -> list[DiagnosisView]:
    """One line an interface on which this terminal shows itself, and one for the others."""
    shown = outward(found)
    asked = [(interface, family) for interface in shown for family in _families(interface)]
    answers = await asyncio.gather(*(_ask(interface, family) for interface, family in asked))
    lines = []
    for interface in shown:
        of_it = {
            family: answer for (each, family), answer in zip(asked, answers, strict=True) if each is interface
        }
        lines.append(_line(interface, of_it))
    others = sum(answer.others for answer in answers if isinstance(answer, probe.Heard))
    return [*lines, _others(context, others)] if any(line.good for line in lines) else lines


def _families(interface: Interface) -> list[socket.AddressFamily]:
    has_v4 = any(":" not in address for address in interface.addresses)
    has_v6 = any(":" in address for address in interface.addresses)
    return [socket.AF_INET] * has_v4 + [socket.AF_INET6] * has_v6


async def _ask(interface: Interface, family: socket.AddressFamily) -> Answer:
    try:
        return await probe.ask(interface, family, LISTEN)
    except OSError as error:
        return error


def _line(interface: Interface, answers: dict[socket.AddressFamily, Answer]) -> DiagnosisView:
    """Good when it works by one family: discovery speaks both."""
    names = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
    works = [
        names[family]
        for family, answer in answers.items()
        if isinstance(answer, probe.Heard) and answer.itself
    ]
    if works:
        by = phrase("{first} and {second}", first=works[0], second=works[1]) if works[1:] else works[0]
        said = phrase("{interface}: out and back by {families}", interface=interface.name, families=by)
        return DiagnosisView(CHECK, True, said)
    for answer in answers.values():
        if isinstance(answer, OSError):
            return _unsent(interface.name, answer)
    said = phrase("{interface}: what was sent did not come back", interface=interface.name)
    return DiagnosisView(CHECK, False, said, _SILENT)


def _unsent(interface: str, error: OSError) -> DiagnosisView:
    said = phrase("{interface}: cannot be sent: {reason}", interface=interface, reason=str(error.strerror))
    fix = phrase(
        "Switch multicast on for {interface} (sudo ip link set {interface} multicast on).",
        interface=interface,
    )
    return DiagnosisView(CHECK, False, said, fix)


def _others(context: Context, others: int) -> DiagnosisView:
    """Nobody heard is suspicious only when the engine has not found anybody either."""
    if context.heard:
        said = phrase("{number} other terminals are known here", number=context.heard)
    elif others:
        said = phrase("{number} other addresses speak multicast here", number=others)
    else:
        nobody = phrase("nobody else was heard by multicast")
        unasked = context.heard is None
        return DiagnosisView(OTHERS, unasked, nobody, NOTHING_SAID if unasked else _ISOLATED)
    return DiagnosisView(OTHERS, True, said)
