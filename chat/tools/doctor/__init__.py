"""`parlour doctor`: why two terminals cannot connect, and what to do about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec.structs import replace

from chat.errors import Phrase, phrase
from chat.interface import DiagnosisView
from chat.network.interfaces import Interface, interfaces
from chat.ports import Clock
from chat.tools.doctor import firewall, gather, machine, paths
from chat.tools.doctor.gather import Context, Evidence, Relay, Sought

__all__ = ["Context", "Relay", "Sought", "diagnose"]

Cause = Callable[[Context, Evidence], list[DiagnosisView]]
Check = Callable[[Context, Sequence[Interface]], Awaitable[list[DiagnosisView]]]

WITHIN: Final = 5.0  # seconds that a diagnosis takes at most

CAUSES: Final[tuple[tuple[Phrase, Cause], ...]] = (
    (machine.NETWORK_CHECK, machine.network_lines),
    (paths.ROUTES_CHECK, paths.route_lines),
    (firewall.CHECK, firewall.lines),
    (machine.MULTICAST_CHECK, machine.multicast_lines),
    (paths.ISOLATION_CHECK, paths.isolation_lines),
    (paths.CHANGES_CHECK, paths.change_lines),
    (paths.STALE_CHECK, paths.stale_lines),
    (machine.RELAYS_CHECK, machine.relay_lines),
)
"""Why two terminals do not see each other, decided together from what was seen once."""

CHECKS: Final[tuple[tuple[Phrase, Check], ...]] = (
    (machine.PORT_CHECK, machine.check_port),
    (machine.CLOCK_CHECK, machine.check_clock),
    (machine.PROFILE_CHECK, machine.check_profile),
    (machine.PICTURES_CHECK, machine.check_pictures),
)
"""What is looked at on this terminal itself, each by itself."""


_OWN_FAULT: Final = phrase(
    "This is a fault of the doctor or of the system, not of the network: please report it."
)


_BUSY: Final = phrase(
    "This machine was busy, so an answer may have come too late: run parlour doctor again when it is quieter."
)
_BEAT: Final = 0.1  # seconds
LATE: Final = 0.5  # seconds that this process comes to its turn late, from which on silence proves nothing
_BY_ANSWERS: Final = (machine.PORT_CHECK, paths.ROUTES_CHECK, machine.RELAYS_CHECK)


class _Turns:
    """How late this process came to its turns while it waited for answers."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._most = clock, 0.0
        self._due = clock.monotonic() + _BEAT

    @property
    def late(self) -> float:
        """By how many seconds at most."""
        return max(self._most, self._clock.monotonic() - self._due)

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(_BEAT)
            self._most = self.late
            self._due = self._clock.monotonic() + _BEAT


async def diagnose(context: Context) -> tuple[DiagnosisView, ...]:
    """Every line of the report, in five seconds. A check that fails itself is a bad line that says so.

    Where this process came late to its turn, no line blames others for an answer that did not come.
    """
    turns = _Turns(context.clock)
    watching = asyncio.create_task(turns.watch())
    try:
        lines = await _examine(context)
    finally:
        watching.cancel()
    if turns.late < LATE:
        return lines
    return tuple(
        one if one.good or one.check not in _BY_ANSWERS else replace(one, fix=_BUSY) for one in lines
    )


async def _examine(context: Context) -> tuple[DiagnosisView, ...]:
    try:
        found = interfaces()
    except OSError as error:
        said = phrase("the interfaces cannot be read: {error}", error=str(error))
        return (DiagnosisView(machine.NETWORK_CHECK, False, said, _OWN_FAULT),)
    seeing = asyncio.create_task(asyncio.wait_for(gather.gather(context, found), WITHIN))
    checks = [asyncio.wait_for(check(context, found), WITHIN) for _, check in CHECKS]
    looked = await asyncio.gather(*checks, return_exceptions=True)
    lines: list[DiagnosisView] = []
    try:
        evidence = await seeing
    except Exception as failure:  # noqa: BLE001
        lines.append(_failed(machine.NETWORK_CHECK, failure))
    else:
        for name, cause in CAUSES:
            try:
                lines += cause(context, evidence)
            except Exception as failure:  # noqa: BLE001
                lines.append(_failed(name, failure))
    for (name, _), result in zip(CHECKS, looked, strict=True):
        lines += [_failed(name, result)] if isinstance(result, BaseException) else result
    return tuple(lines)


def _failed(name: Phrase, failure: BaseException) -> DiagnosisView:
    if isinstance(failure, TimeoutError):
        said = phrase("could not be checked within {number} seconds", number=round(WITHIN))
        return DiagnosisView(name, False, said, _BUSY)
    said = phrase("could not be checked: {error}", error=repr(failure))
    return DiagnosisView(name, False, said, _OWN_FAULT)
