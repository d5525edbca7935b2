"""What is written to the terminal itself, beside the picture: its title, its bell, its notifications.

Rules: only sequences of this file leave, and no control character from anywhere else is in them; a way to
notify is used only where the environment names a terminal that has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from tui.formatting import safe_line, shorten

BELL: Final = "\a"
KEEP_TITLE: Final = "\x1b[22;2t"
GIVE_TITLE_BACK: Final = "\x1b[23;2t"
_TITLE: Final = "Parlour"
_CELLS: Final = 160
_END: Final = "\x1b\\"
_NO_TITLE: Final = ("", "dumb", "linux", "vt100", "vt102", "vt220")


class Way(Enum):
    """How a terminal is asked for a notification: the number of the OSC sequence."""

    TEXT = 9
    """iTerm2's: one text."""
    TITLED = 777
    """rxvt's: a title and a text."""
    KITTY = 99
    """kitty's: parts with an id, so that a later one takes the place of an earlier one."""


_PROGRAMS: Final = {
    "iTerm.app": Way.TEXT,
    "WezTerm": Way.TITLED,
    "ghostty": Way.TITLED,
    "WarpTerminal": Way.TITLED,
    "kitty": Way.KITTY,
}
_TERMS: Final = {
    "xterm-kitty": Way.KITTY,
    "xterm-ghostty": Way.TITLED,
    "wezterm": Way.TITLED,
    "foot": Way.TITLED,
    "rxvt-unicode": Way.TITLED,
    "contour": Way.TITLED,
}
# Inside tmux or screen the terminal's own names are hidden, and these are what it left behind.
_TRACES: Final = {
    "KITTY_WINDOW_ID": Way.KITTY,
    "ITERM_SESSION_ID": Way.TEXT,
    "WEZTERM_PANE": Way.TITLED,
    "GHOSTTY_RESOURCES_DIR": Way.TITLED,
    "VTE_VERSION": Way.TITLED,
}


def way(environment: Mapping[str, str]) -> Way | None:
    """How this terminal shows notifications; None where it is not known to."""
    program = _PROGRAMS.get(environment.get("TERM_PROGRAM", ""))
    if program is not None:
        return program
    term = environment.get("TERM", "")
    named = next(
        (found for name, found in _TERMS.items() if term == name or term.startswith(f"{name}-")), None
    )
    if named is not None:
        return named
    return next((found for name, found in _TRACES.items() if environment.get(name)), None)


def notification(how: Way, text: str, environment: Mapping[str, str]) -> str:
    """The sequence that shows a text under the name of the program."""
    line = shorten(safe_line(text), _CELLS)
    match how:
        case Way.TEXT:
            # The name first: a text that began with a number would be a command to some terminals.
            sequence = f"\x1b]9;{_TITLE}: {line}{_END}"
        case Way.TITLED:
            sequence = f"\x1b]777;notify;{_TITLE};{line.replace(';', ',')}{_END}"
        case _:
            named = f"\x1b]99;i=parlour:d=0:p=title;{_TITLE}{_END}"
            sequence = f"{named}\x1b]99;i=parlour:d=1:p=body;{line}{_END}"
    return through(sequence, environment)


def through(sequence: str, environment: Mapping[str, str]) -> str:
    """The sequence so that tmux hands it on to the terminal around it, where its settings allow that."""
    if not environment.get("TMUX"):
        return sequence
    doubled = sequence.replace("\x1b", "\x1b\x1b")
    return f"\x1bPtmux;{doubled}{_END}"


def title(unread: int, environment: Mapping[str, str]) -> str:
    """The sequence that names the window, with how much is unread; empty where windows have no names."""
    if environment.get("TERM", "") in _NO_TITLE:
        return ""
    return f"\x1b]2;{f'({unread}) ' if unread else ''}{_TITLE}{_END}"
