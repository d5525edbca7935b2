"""Notifications of new entries: a bell, a notification of the terminal, a number in its title."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tui.preferences import Preferences
from tui.terminal import BELL, GIVE_TITLE_BACK, KEEP_TITLE, notification, title, way
from tui.text.formatting import safe_line, safe_name
from tui.text.translation import _

BURST: Final = 3.0
"""Seconds without a new entry after which the next one is notified of again."""
AGAIN: Final = 60.0
"""Seconds after which another notification follows although the burst goes on."""


class Notifier:
    """Writes to the terminal by `write`. Name and text of an entry leave only where this person chose that.

    `monotonic`: a clock in seconds."""

    def __init__(
        self, write: Callable[[str], None], environment: Mapping[str, str], monotonic: Callable[[], float]
    ) -> None:
        self._write = write
        self._environment = environment
        self._monotonic = monotonic
        self._way = way(environment)
        self._came: float | None = None
        self._notified: float | None = None
        self._unread = 0
        self._begun = False

    def begin(self) -> None:
        if title(0, self._environment):
            self._begun = True
            self._write(KEEP_TITLE + title(0, self._environment))

    def end(self) -> None:
        if self._begun:
            self._write(GIVE_TITLE_BACK)

    def count(self, unread: int) -> None:
        if unread != self._unread:
            self._unread = unread
            self._write(title(unread, self._environment))

    def notify(self, name: str, text: str, preferences: Preferences) -> None:
        """Notify of an entry; `name` and `text` are peer text. A burst is notified of once."""
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
        now = self._monotonic()
        came, self._came = self._came, now
        in_burst = came is not None and now - came < BURST
        if in_burst and self._notified is not None and now - self._notified < AGAIN:
            return False
        self._notified = now
        return True
