"""All checks, side by side, as lines in a fixed order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from chat.doctor import clock, firewall, multicast, network, port, profile, routes
from chat.doctor.context import Context
from chat.interface import DiagnosisView
from chat.network.interfaces import Interface, interfaces
from chat.phrases import Phrase, phrase

Check = Callable[[Context, Sequence[Interface]], Awaitable[list[DiagnosisView]]]

WITHIN: Final = 5.0
"""Seconds that a diagnosis takes at most."""

CHECKS: Final[tuple[tuple[Phrase, Check], ...]] = (
    (network.CHECK, network.check),
    (routes.CHECK, routes.check),
    (multicast.CHECK, multicast.check),
    (port.CHECK, port.check),
    (firewall.CHECK, firewall.check),
    (clock.CHECK, clock.check),
    (profile.CHECK, profile.check),
)


async def diagnose(context: Context) -> tuple[DiagnosisView, ...]:
    """Every line of the report, good or bad with its fix; takes five seconds at most.

    A check that fails itself is a bad line that says so: the others are not lost with it.
    """
    try:
        found = interfaces()
    except OSError as error:
        return (
            DiagnosisView(
                network.CHECK,
                False,
                phrase("the interfaces cannot be read: {error}", error=str(error)),
                _OWN_FAULT,
            ),
        )
    running = [asyncio.wait_for(check(context, found), WITHIN) for _, check in CHECKS]
    results = await asyncio.gather(*running, return_exceptions=True)
    lines = [_lines(name, result) for (name, _), result in zip(CHECKS, results, strict=True)]
    return tuple(line for each in lines for line in each)


_OWN_FAULT: Final = phrase(
    "This is a fault of the doctor or of the system, not of the network: please report it."
)


def _lines(name: Phrase, result: list[DiagnosisView] | BaseException) -> list[DiagnosisView]:
    if isinstance(result, TimeoutError):
        late = phrase("could not be checked within {number} seconds", number=round(WITHIN))
        return [DiagnosisView(name, False, late, _OWN_FAULT)]
    if isinstance(result, BaseException):
        failed = phrase("could not be checked: {error}", error=repr(result))
        return [DiagnosisView(name, False, failed, _OWN_FAULT)]
    return result
