"""Telling somebody who looks elsewhere that something came: a bell, a notification, a number in the title.

Rules: a burst is told once; a name and a text leave only where this person asked for that; the title never
has either, and the terminal gets its own title back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tui.preferences import Preferences
from tui.terminal import BELL, GIVE_TITLE_BACK, KEEP_TITLE, notification, title, way
from tui.text.formatting import safe_line, safe_name
from tui.text.translation import _

BURST: Final = 3.0
"""Seconds without anything new after which the next is told again."""
AGAIN: Final = 60.0
"""Seconds after which it is told again although the burst goes on."""


class Teller:
    """Writes to the terminal by `write`. `monotonic`: a clock in seconds."""

    def __init__(
        self, write: Callable[[str], None], environment: Mapping[str, str], monotonic: Callable[[], float]
    ) -> None:
        self._write = write
        self._environment = environment
        self._monotonic = monotonic
        self._way = way(environment)
        self._came: float | None = None
        self._told: float | None = None
        self._unread = 0
        self._begun = False

    def begin(self) -> None:
        """The program has the terminal from now on."""
        if title(0, self._environment):
            self._begun = True
            self._write(KEEP_TITLE + title(0, self._environment))

    def end(self) -> None:
        """Give the terminal back as it was."""
        if self._begun:
            self._write(GIVE_TITLE_BACK)

    def count(self, unread: int) -> None:
        """So many entries are unread where nobody looks."""
        if unread != self._unread:
            self._unread = unread
            self._write(title(unread, self._environment))

    def tell(self, name: str, text: str, preferences: Preferences) -> None:
        """Something came from somebody (peer text) whom nobody looks at."""
        if not self._due():
            return
        if preferences.bell:
            self._write(BELL)
        if preferences.notify and self._way is not None:
            said = _("A new message")
            if preferences.notify_content:
                said = _("{name}: {text}").format(name=safe_name(name), text=safe_line(text))
            self._write(notification(self._way, said, self._environment))

    def _due(self) -> bool:
        """Whether this is told, or belongs to what was told already."""
        now = self._monotonic()
        came, self._came = self._came, now
        in_burst = came is not None and now - came < BURST
        if in_burst and self._told is not None and now - self._told < AGAIN:
            return False
        self._told = now
        return True
