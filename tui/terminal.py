"""The terminal: whether it is gone, signals, a new start in it, and notifications by its sequences."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import select
import signal
import stat
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec
from msgspec.structs import asdict

from chat.interface import (
    Bursts,
    ContactChanged,
    ContactRemoved,
    EntryDeleted,
    EntryEdited,
    Event,
    Osc,
    Outside,
    Turn,
    Words,
    closing,
    notified,
    osc_of,
    sequence,
)
from tui.preferences import Preferences
from tui.text.safe import safe_line, safe_name, shorten
from tui.text.translation import N_, _

if TYPE_CHECKING:  # it loads Textual, which the line-by-line interface does without
    from tui.messages import NotifyEntry

STDIN: Final = 0
_STREAMS: Final = (0, 1, 2)
ENDING: Final = ("SIGINT", "SIGTERM", "SIGHUP")
EVERY: Final = 1.0
"""Seconds between two looks."""


class Watched:
    """A terminal's descriptor. What is no terminal (a pipe, a file) is never gone."""

    def __init__(self, descriptor: int) -> None:
        self._poll: select.poll | None = None
        self._streams = [stream for stream in _STREAMS if _is_terminal(stream)]
        self._forsaken = False
        # Windows has no poll; there a console's end closes the program.
        if sys.platform != "win32" and _is_terminal(descriptor):
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


def _is_terminal(descriptor: int) -> bool:
    """Whether this is a terminal, or was one that is gone by now."""
    if sys.platform == "win32":
        return os.isatty(descriptor)
    import termios

    try:
        termios.tcgetattr(descriptor)
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)
    except OSError:  # it is closed
        return False
    return True


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


def has_shell() -> bool:
    """Whether a program that stops itself can be continued: what leads the session is no part of its job."""
    return sys.platform != "win32" and os.getsid(0) != os.getpgrp()


def stop_job() -> None:
    """Stop this program and those that run with it, as a terminal does for Ctrl+Z."""
    if sys.platform != "win32":
        os.killpg(os.getpgrp(), signal.SIGTSTP)


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


def notification(how: Osc, text: str, environment: Mapping[str, str]) -> str:
    return sequence(how, shorten(safe_line(text), _CELLS), environment)


def title(unread: int, environment: Mapping[str, str]) -> str:
    if environment.get("TERM", "") in _NO_TITLE:
        return ""
    return f"\x1b]2;{f'({unread}) ' if unread else ''}{_TITLE}{_END}"


def _words() -> Words:
    return Words(
        _("A new message"),
        _("A message from {name}"),
        _("{name}: {text}"),
        _("{name} mentions you"),
        _("{name} mentions you: {text}"),
    )


CURSOR_HIDDEN: Final = "\x1b[?25l"


def cursor_shown(environment: Mapping[str, str]) -> str:
    """Shows the cursor, as a bar: a block would invert the cell that is inverted to show it."""
    shape = "" if environment.get("TERM", "") in _NO_TITLE else "\x1b[6 q"
    return f"{shape}\x1b[?25h"


def cursor_given_back(environment: Mapping[str, str]) -> str:
    """Gives the cursor back the shape that this person has for it."""
    return "" if environment.get("TERM", "") in _NO_TITLE else "\x1b[0 q"


@dataclass
class Notifier:
    """Writes to the terminal by `write`. Name and text of an entry leave only where this person chose that.

    `monotonic`: a clock in seconds. `outside`: shows notifications where this is not left to the terminal.
    `turn`: is taken while a profile is open, so that `listen` does not notify as well.
    """

    write: Callable[[str], None]
    environment: Mapping[str, str]
    monotonic: Callable[[], float]
    outside: Outside | None = None
    turn: Turn | None = None
    _bursts: Bursts = field(init=False)
    _shown: tuple[str, str] = field(init=False, default=("", ""))
    _unread: int = field(init=False, default=0)
    _begun: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._bursts = Bursts(self.monotonic)

    def begin(self, *, again: bool = False) -> None:
        """`again`: the terminal holds the title before a first start already."""
        if title(0, self.environment):
            self._begun = True
            self.write(("" if again else _KEEP_TITLE) + title(0, self.environment))

    def opened(self) -> None:
        """A profile is open, and its messages are notified of here, if this can be."""
        if self.turn is not None and (self.outside is not None or osc_of(self.environment) is not None):
            self.turn.take()

    def closed(self) -> None:
        """It is locked, or handed over."""
        if self.turn is not None:
            self.turn.give_back()

    def end(self) -> None:
        if self._begun:
            self.write(_GIVE_TITLE_BACK)

    def count(self, unread: int) -> None:
        if unread != self._unread:
            self._unread = unread
            self.write(title(unread, self.environment))

    def notify(self, entry: NotifyEntry, preferences: Preferences) -> None:
        """Notify of an entry. A burst is notified of once, and a mention in it once more."""
        if not self._bursts.due(mention=entry.mention):
            return
        if preferences.bell:
            self.write(BELL)
        if not (preferences.notify or (entry.mention and preferences.notify_mentions)):
            return
        name, text = safe_name(entry.name), safe_line(entry.text)
        level, mention = preferences.notify_content, entry.mention
        one = notified(level, _words(), entry.person, entry.id, name, text, mention=mention)
        if self.outside is not None:
            self.outside.show(one)
        elif (how := osc_of(self.environment)) is not None:
            self._shown = (one.tag, one.entry)
            self.write(notification(how, one.line, self.environment))

    def heed(self, event: Event) -> None:
        """Close what was read or deleted elsewhere."""
        match event:
            case ContactChanged(view) if not view.unread or view.blocked:
                self.close(view.person)
            case EntryEdited(entry):  # its author may have taken something out of it
                self.close(entry.contact, entry.id)
            case EntryDeleted(person, entry):
                self.close(person, entry)
            case ContactRemoved(person, _):
                self.close(person)

    def close(self, person: str, entry: str = "") -> None:
        if self.outside is not None:
            self.outside.close(person, entry)
        elif self._shown[0] == person and entry in ("", self._shown[1]):
            self._close_here()

    def close_all(self) -> None:
        """Nothing of a profile is left on the screen once it is locked."""
        if self.outside is not None:
            self.outside.close_all()
        self._close_here()

    def _close_here(self) -> None:
        shown, self._shown = self._shown, ("", "")
        how = osc_of(self.environment)
        if any(shown) and how is not None and (written := closing(how, self.environment)):
            self.write(written)
