"""Does the port of this terminal answer, and is it this terminal that answers there?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from chat.doctor import knocking
from chat.doctor.context import Context
from chat.doctor.knocking import Answer
from chat.interface import DiagnosisView
from chat.network.addresses import format_address
from chat.network.interfaces import Interface, own_addresses
from chat.phrases import phrase

CHECK = phrase("port")
WITHIN = 1.5
"""Seconds for one connection to this very machine."""
_OPEN = phrase("Open Parlour (parlour, or parlour listen): only then can others reach this terminal.")
_OTHER = phrase(
    "Parlour takes the next free port by itself; or close the other program, or name one with --port."
)


async def check(context: Context, found: Sequence[Interface]) -> list[DiagnosisView]:
    """One line: reached under each of its addresses, or what is there instead."""
    if not context.port:
        return [DiagnosisView(CHECK, False, phrase("this profile has not listened yet"), _OPEN)]
    addresses = own_addresses(found)
    knocks = (knocking.knock(context.transport, address, context.port, WITHIN) for address in addresses)
    answers = await asyncio.gather(*knocks)
    if context.listening:
        return [_of_engine(context, dict(zip(addresses, answers, strict=True)))]
    taken = any(answer in (Answer.PARLOUR, Answer.OTHER) for answer in answers)
    return [_of_others(context.port, taken, Answer.PARLOUR in answers)]


def _of_engine(context: Context, answers: dict[str, Answer]) -> DiagnosisView:
    wrong = [address for address, answer in answers.items() if answer is not Answer.PARLOUR]
    silent = [format_address(address, context.port) for address in wrong]
    if silent:
        fix = phrase("Close Parlour and open it again; if that does not help, see the line of the firewall.")
        said = phrase("Parlour does not answer at {addresses}", addresses=", ".join(silent))
        return DiagnosisView(CHECK, False, said, fix)
    said = phrase("TCP port {port} answers at {number} addresses", port=context.port, number=len(answers))
    return DiagnosisView(CHECK, True, said)


def _of_others(port: int, taken: bool, by_parlour: bool) -> DiagnosisView:
    if not taken:
        said = phrase(
            "no engine of this profile is running: nobody answers at TCP port {port}",
            port=port,
        )
        return DiagnosisView(CHECK, False, said, _OPEN)
    who = phrase("the engine of another profile") if by_parlour else phrase("another program")
    said = phrase("no engine of this profile is running, and {who} has TCP port {port}", who=who, port=port)
    return DiagnosisView(CHECK, False, said, _OTHER)
