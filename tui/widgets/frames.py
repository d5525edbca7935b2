"""A screen whose next frame can wait for what a key causes, so that both come in one."""

from __future__ import annotations

import asyncio
from typing import Final

from textual.screen import Screen

FRAME: Final = 1 / 60
"""Seconds that a frame waits at most, however long the disk takes: nobody sees less."""


class HeldScreen(Screen[None]):
    """Draws at once, but for the frame that `hold_frame` holds until `release_frame`, or for FRAME."""

    _releases: asyncio.TimerHandle | None = None

    def hold_frame(self) -> None:
        """Draw nothing yet: a key was pressed, and what it sends goes out before what it clears is drawn."""
        if self._releases is None:
            self._releases = asyncio.get_running_loop().call_later(FRAME, self.release_frame)

    def release_frame(self) -> None:
        """Draw what waits."""
        if self._releases is not None:
            self._releases.cancel()
            self._releases = None
            self.check_idle()

    def _on_timer_update(self) -> None:
        if self._releases is None:
            super()._on_timer_update()
        else:
            self._update_timer.pause()
