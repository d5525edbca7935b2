"""Whether somebody looks at the interface: what nobody saw must not count as read.

Many terminals report focus (mode 1004), and tmux does at attach and detach, but others and a connection that
died report nothing. So three things have to hold: no report says that the focus is elsewhere, a client is
attached to the multiplexer, and a person gave a sign a short while ago.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from textual import events

LASTS: Final = 120.0
"""Seconds after the last key, mouse or focus event for which somebody is taken to look."""

SIGNS: Final = (events.InputEvent, events.Paste, events.AppFocus, events.AppBlur)
"""The events that say something about a person."""

_BACK: Final = (events.AppFocus, events.Key, events.MouseDown, events.Paste)
_STDIN: Final = 0


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
