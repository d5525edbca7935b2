"""Is the clock right? Times of entries and the day in announcements come from it.

It is compared with those of contacts that announce themselves; without one, only the year can be judged.
"""

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
_FIX_ONE = phrase(
    "Set date and time on the machine where they are wrong, here or there (sudo timedatectl set-ntp true): "
    "contacts recognise each other within a day only."
)


async def check(context: Context, found: Sequence[Interface]) -> list[DiagnosisView]:
    """One line: time does not run backwards, the year is possible, and contacts have the same day."""
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
    if not plausible:
        return [DiagnosisView(CHECK, False, phrase("{time} cannot be right", time=shown), _FIX)]
    return [_compared(shown, context.days_ahead)]


def _compared(shown: str, days_ahead: int | None) -> DiagnosisView:
    if days_ahead is None:
        said = phrase("{time}; no contact announces itself here to compare it with", time=shown)
        return DiagnosisView(CHECK, True, said)
    if days_ahead == 0:
        return DiagnosisView(CHECK, True, Phrase(shown))
    if days_ahead > 0:
        said = phrase(
            "{time}, {number} days behind the clock of a contact here", time=shown, number=days_ahead
        )
    else:
        said = phrase(
            "{time}, {number} days ahead of the clock of a contact here", time=shown, number=-days_ahead
        )
    return DiagnosisView(CHECK, False, said, _FIX_ONE)
