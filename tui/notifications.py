"""Notifications of new entries (a bell, a notification, a number in the title), and whether somebody looks.

What nobody saw must not count as read, and a program learns only in part whether somebody looks. Many
terminals report focus (mode 1004), and tmux does at attach and detach, but others and a connection that died
report nothing. So three things have to hold: no report says that the focus is elsewhere, a client is attached
to the multiplexer, and a person gave a sign a short while ago.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from textual import events

from tui.preferences import Preferences
from tui.terminal import BELL, GIVE_TITLE_BACK, KEEP_TITLE, notification, title, way
from tui.text.formatting import safe_line, safe_name
from tui.text.translation import _

LASTS: Final = 120.0
"""Seconds after the last key, mouse or focus event for which somebody is taken to look."""

SIGNS: Final = (events.InputEvent, events.Paste, events.AppFocus, events.AppBlur)
"""The events that say something about a person."""

_BACK: Final = (events.AppFocus, events.Key, events.MouseDown, events.Paste)
_STDIN: Final = 0
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


class Attention:
    """Follows the events of the terminal. `monotonic`: a clock in seconds; `attached`: whether the terminal
    shows anything to anybody."""

    def __init__(self, monotonic: Callable[[], float], attached: Callable[[], bool]) -> None:
        self._monotonic = monotonic
        self._attached = attached
        self._elsewhere = False
        self._sign: float | None = None

    def heed(self, event: events.Event) -> None:
        if isinstance(event, events.AppBlur):
            self._elsewhere, self._sign = True, None
        elif isinstance(event, _BACK):
            self._elsewhere, self._sign = False, self._monotonic()
        elif not self._elsewhere:  # the mouse also passes over windows without focus
            self._sign = self._monotonic()

    @property
    def there(self) -> bool:
        """Whether somebody looks. After a client detached the next sign has to come from the one after it."""
        if not self._attached():
            self._sign = None
        return self._sign is not None and self._monotonic() - self._sign < LASTS


def shown_to_somebody(environment: Mapping[str, str]) -> Callable[[], bool]:
    """A test of whether the terminal can show anything: in the foreground, with an attached multiplexer."""
    socket = _multiplexer(environment)
    return lambda: _in_foreground() and (socket is None or _has_client(socket))


def _multiplexer(environment: Mapping[str, str]) -> Path | None:
    """The socket of the tmux or screen in which this runs."""
    if tmux := environment.get("TMUX", ""):
        return Path(tmux.rsplit(",", 2)[0])  # PATH,PID,SESSION
    if session := environment.get("STY", ""):
        folder = environment.get("SCREENDIR", "")
        user = environment.get("USER", "")
        folders = (folder,) if folder else (f"/run/screen/S-{user}", f"/var/run/screen/S-{user}")
        home = str(Path(environment.get("HOME", "/")) / ".screen")
        return next((path for name in (*folders, home) if (path := Path(name) / session).exists()), None)
    return None


def _has_client(socket: Path) -> bool:
    """Both programs set the owner's execute bit of their socket while a client is attached to any session."""
    try:
        return bool(socket.stat().st_mode & stat.S_IXUSR)
    except OSError:  # moved, or of another user: nothing is known
        return True


def _in_foreground() -> bool:
    """A program that went on in the background (`bg`) draws nothing that stays."""
    try:
        return os.tcgetpgrp(_STDIN) == os.getpgrp()
    except (OSError, AttributeError):  # no terminal, or Windows
        return True
