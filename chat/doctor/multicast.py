"""Does multicast, by which terminals find each other, leave this machine and come back; is anybody there?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from chat.doctor.context import Context
from chat.interface import DiagnosisView
from chat.network import probe
from chat.network.interfaces import Interface, outward

CHECK = "multicast"
LISTEN = 1.5
"""Seconds: those who answer do so within one (RFC 6762 §6)."""
_BY_ADDRESS = "Until then reach the other terminal by its address: parlour pair --address HOST:PORT."
_SILENT = "Allow UDP port 5353 in the firewall of this machine. " + _BY_ADDRESS
_ISOLATED = (
    "If the other terminal is open on the same network, the access point may keep devices apart "
    "(guest network, client isolation): use another network or a cable. " + _BY_ADDRESS
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
        return DiagnosisView(CHECK, True, f"{interface.name}: out and back by {' and '.join(works)}")
    for answer in answers.values():
        if isinstance(answer, OSError):
            fix = (
                f"Switch multicast on for {interface.name} (sudo ip link set {interface.name} multicast on)."
            )
            return DiagnosisView(CHECK, False, f"{interface.name}: cannot be sent: {answer.strerror}", fix)
    return DiagnosisView(CHECK, False, f"{interface.name}: what was sent did not come back", _SILENT)


def _others(context: Context, others: int) -> DiagnosisView:
    """Nobody heard is suspicious only when the engine has not found anybody either."""
    if context.heard:
        return DiagnosisView("others", True, f"{context.heard} other terminals are known here")
    if others:
        return DiagnosisView("others", True, f"{others} other addresses speak multicast here")
    said = "nobody else was heard by multicast"
    return DiagnosisView("others", context.heard is None, said, "" if context.heard is None else _ISOLATED)
