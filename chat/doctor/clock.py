"""Is the clock plausible? Times of entries and the day in announcements come from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from chat.doctor.context import Context
from chat.interface import DiagnosisView
from chat.network.interfaces import Interface
from chat.phrases import Phrase, phrase

CHECK = phrase("clock")
FIRST_YEAR: Final = 2026
LAST_YEAR: Final = 2099
_FIX = phrase(
    "Set date and time (sudo timedatectl set-ntp true): contacts recognise each other within a day only."
)


async def check(context: Context, found: Sequence[Interface]) -> list[DiagnosisView]:
    """One line: the year is one in which this program exists, and time does not run backwards."""
    before, wall, after = context.clock.monotonic(), context.clock.wall(), context.clock.monotonic()
    if after < before:
        said = phrase("the clock for intervals runs backwards")
        return [DiagnosisView(CHECK, False, said, phrase("Restart this machine."))]
    try:
        now = datetime.fromtimestamp(wall / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return [DiagnosisView(CHECK, False, phrase("the clock shows no possible date"), _FIX)]
    plausible = FIRST_YEAR <= now.year <= LAST_YEAR
    shown = f"{now:%Y-%m-%d %H:%M} UTC"
    if plausible:
        return [DiagnosisView(CHECK, True, Phrase(shown))]
    return [DiagnosisView(CHECK, False, phrase("{time} cannot be right", time=shown), _FIX)]
