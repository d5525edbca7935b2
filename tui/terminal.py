"""The terminal: whether it is gone, signals, a new start in it, and notifications by its sequences."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import stat
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain
from types import FrameType
from typing import Any, Final, NoReturn

import msgspec
from msgspec.structs import asdict

from tui.preferences import Preferences
from tui.text.formatting import safe_line, safe_name, shorten
from tui.text.translation import N_, _

STDIN: Final = 0
_STREAMS: Final = (0, 1, 2)
ENDING: Final = ("SIGINT", "SIGTERM", "SIGHUP")
EVERY: Final = 1.0
"""Seconds between two looks."""


class Watched:
    """A terminal's descriptor. What is no terminal (a pipe, a file) is never gone."""

    def __init__(self, descriptor: int) -> None:
        self._poll: select.poll | None = None
        self._streams = [stream for stream in _STREAMS if os.isatty(stream)]
        self._forsaken = False
        # Windows has no poll; there a console's end closes the program.
        if sys.platform != "win32" and os.isatty(descriptor):
            self._poll = select.poll()
            self._poll.register(descriptor, 0)

    def gone(self) -> bool:
        if self._forsaken or self._poll is None:
            return self._forsaken
        # macOS cannot poll /dev/tty: it answers POLLNVAL, which says nothing about the terminal.
        return any(event & (select.POLLHUP | select.POLLERR) for _, event in self._poll.poll(0))

    def forsake(self) -> None:
        """Write to nothing from now on: writing to a terminal that is gone ends the thread that writes.

        Textual waits for that thread when it stops, and so for ever.
        """
        self._forsaken = True
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in self._streams:
            os.dup2(nothing, stream)
        os.close(nothing)


def heed_signals(leave: Callable[[], object], terminal: Watched | None = None) -> None:
    """Call `leave` in the loop for a signal that ends programs, so that profile and screen are left in order.

    One that this program was told to ignore stays ignored. `terminal` is forsaken where it is gone, before
    anything goes back to it: its end comes with SIGCONT, after which Textual would use it again.
    """
    for name in ENDING:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            with suppress(NotImplementedError):  # nor signals in its event loop
                asyncio.get_running_loop().add_signal_handler(number, leave)
    if sys.platform != "win32":  # `start_again` holds them back for the program that is heeding them now
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ends())
    if terminal is not None and sys.platform != "win32":
        _heed_hangup(leave, terminal)


def _heed_hangup(leave: Callable[[], object], terminal: Watched) -> None:
    loop, resume = asyncio.get_running_loop(), signal.getsignal(signal.SIGCONT)

    def look(number: int, frame: FrameType | None) -> None:
        if terminal.gone():
            terminal.forsake()
            loop.call_soon_threadsafe(leave)
        elif number == signal.SIGCONT and callable(resume):
            resume(number, frame)

    signal.signal(signal.SIGCONT, look)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, look)  # the loop still calls `leave` for it


def _ends() -> set[int]:
    return {number for name in ENDING if (number := getattr(signal, name, None)) is not None}


_HANDED_OVER: Final = "PARLOUR_HANDED_OVER"
"""Names the descriptor of a pipe: the system shows arguments and variables to others."""


class Handover(msgspec.Struct, frozen=True):
    """What a program that locks passes to its new start: nothing of the open profile but an id.

    `last`: the person of the conversation that was open; `looks`: preferences; `modes`: of the terminal
    before the first start, as termios has them; `typed`: names of keys with their text that nobody took.
    """

    reason: str = ""
    last: str | None = None
    looks: Mapping[str, str] = msgspec.field(default_factory=dict)
    modes: list[Any] | None = None
    typed: tuple[tuple[str, str], ...] = ()


NOT_AGAIN: Final = N_("Locked. Parlour could not start again and has ended: start it to open the profile.")


def start_again(handed: Handover) -> NoReturn:
    """Replace this program by a new start of itself in the same process, with the same line and terminal.

    The system discards the memory, with everything that the program forgot to wipe. The terminal keeps its
    modes: what is typed meanwhile is not shown. Raises OSError, after which nothing has changed.
    """
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        os.write(writing, _encoded(handed))
        os.set_inheritable(reading, True)
        signal.pthread_sigmask(signal.SIG_BLOCK, _ends())
        environment = {**os.environ, _HANDED_OVER: str(reading)}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ends())
        os.close(reading)
        os.close(writing)


_HANDED_MAX: Final = 16_384
"""Bytes that every system's pipe takes at once. What was typed is left out where it is more."""


def _encoded(handed: Handover) -> bytes:
    modes = handed.modes
    if modes is not None:
        modes = [*modes[:-1], [one if isinstance(one, int) else ord(one) for one in modes[-1]]]
    fields = {**asdict(handed), "modes": modes}
    encoded = json.dumps(fields).encode()
    return encoded if len(encoded) <= _HANDED_MAX else json.dumps({**fields, "typed": ()}).encode()


def taken_over() -> Handover | None:
    """What the program before this one left, once; None at a first start."""
    try:
        descriptor = int(os.environ.pop(_HANDED_OVER))
        if descriptor <= max(_STREAMS) or not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return None
        with open(descriptor, "rb") as pipe:
            fields = json.loads(pipe.read(_HANDED_MAX))
        modes = fields.pop("modes")
        if modes is not None:
            modes = [*modes[:-1], [bytes((one,)) for one in modes[-1]]]
        typed = tuple((key, text) for key, text in fields.pop("typed"))
        return Handover(**fields, modes=modes, typed=typed)
    except (KeyError, ValueError, TypeError, OSError):  # set by somebody else
        return None


BELL: Final = "\a"
_KEEP_TITLE: Final = "\x1b[22;2t"
_GIVE_TITLE_BACK: Final = "\x1b[23;2t"
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
    "kitty": Way.KITTY,
    **dict.fromkeys(("WezTerm", "ghostty", "WarpTerminal"), Way.TITLED),
}
_TERMS: Final = {
    "xterm-kitty": Way.KITTY,
    **dict.fromkeys(("xterm-ghostty", "wezterm", "foot", "rxvt-unicode", "contour"), Way.TITLED),
}
# Inside tmux or screen the terminal's own names are hidden, and these are what it left behind.
_TRACES: Final = {
    "KITTY_WINDOW_ID": Way.KITTY,
    "ITERM_SESSION_ID": Way.TEXT,
    **dict.fromkeys(("WEZTERM_PANE", "GHOSTTY_RESOURCES_DIR", "VTE_VERSION"), Way.TITLED),
}


def way(environment: Mapping[str, str]) -> Way | None:
    """How this terminal shows notifications; None where it is not known to."""
    term = environment.get("TERM", "")
    named = (found for name, found in _TERMS.items() if term == name or term.startswith(f"{name}-"))
    left = (found for name, found in _TRACES.items() if environment.get(name))
    return _PROGRAMS.get(environment.get("TERM_PROGRAM", "")) or next(chain(named, left), None)


def notification(how: Way, text: str, environment: Mapping[str, str]) -> str:
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
    return passed_on(sequence, environment)


def passed_on(sequence: str, environment: Mapping[str, str]) -> str:
    """A sequence in the form in which tmux passes it on to the terminal around it, if it is set to."""
    if not environment.get("TMUX"):
        return sequence
    doubled = sequence.replace("\x1b", "\x1b\x1b")
    return f"\x1bPtmux;{doubled}{_END}"


def title(unread: int, environment: Mapping[str, str]) -> str:
    if environment.get("TERM", "") in _NO_TITLE:
        return ""
    return f"\x1b]2;{f'({unread}) ' if unread else ''}{_TITLE}{_END}"


BURST: Final = 3.0
"""Seconds without a new entry after which the next one is notified of again."""
AGAIN: Final = 60.0
"""Seconds after which another notification follows although the burst goes on."""


@dataclass
class Notifier:
    """Writes to the terminal by `write`. Name and text of an entry leave only where this person chose that.

    `monotonic`: a clock in seconds.
    """

    write: Callable[[str], None]
    environment: Mapping[str, str]
    monotonic: Callable[[], float]
    _came: float | None = field(init=False, default=None)
    _notified: float | None = field(init=False, default=None)
    _unread: int = field(init=False, default=0)
    _begun: bool = field(init=False, default=False)

    def begin(self, *, again: bool = False) -> None:
        """`again`: the terminal holds the title before a first start already."""
        if title(0, self.environment):
            self._begun = True
            self.write(("" if again else _KEEP_TITLE) + title(0, self.environment))

    def end(self) -> None:
        if self._begun:
            self.write(_GIVE_TITLE_BACK)

    def count(self, unread: int) -> None:
        if unread != self._unread:
            self._unread = unread
            self.write(title(unread, self.environment))

    def notify(self, name: str, text: str, preferences: Preferences) -> None:
        """Notify of an entry; `name` and `text` are peer text. A burst is notified of once."""
        if not self._due():
            return
        if preferences.bell:
            self.write(BELL)
        if preferences.notify and (how := way(self.environment)) is not None:
            said = _("A new message")
            if preferences.notify_content:
                said = _("{name}: {text}").format(name=safe_name(name), text=safe_line(text))
            self.write(notification(how, said, self.environment))

    def _due(self) -> bool:
        now = self.monotonic()
        came, self._came = self._came, now
        in_burst = came is not None and now - came < BURST
        if in_burst and self._notified is not None and now - self._notified < AGAIN:
            return False
        self._notified = now
        return True
