"""Being notified outside of a window: what is said at each level, how often, and by which way.

A message's text is hostile: it goes as data to a program's input or into a D-Bus string, never into a command
line, which other users of the machine read, nor through a shell.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum, StrEnum
from itertools import chain
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from chat.errors import UsageError, phrase

CHARACTERS_MAX: Final = 160
"""Characters of a name and text that a notification shows. A contact fills it."""

WAITING_MAX: Final = 16
"""Notifications that wait for a slow program or bus; others are left out. Contacts fill it."""

SHOWN_MAX: Final = 256
"""Conversations whose notification can be closed. Contacts fill it, and the oldest goes first."""

BURST: Final = 3.0
"""Seconds without a new entry after which the next one is notified of again."""

AGAIN: Final = 60.0
"""Seconds after which another notification follows although the burst goes on."""

PROGRAM_WITHIN: Final = 10.0
"""Seconds in which the program of a person ends, or is ended."""

ENDS_WITHIN: Final = 5.0
"""Seconds for which the end of the program waits for what is still to be shown and closed."""

CONFIG: Final = "config.toml"
_CONFIG_MAX: Final = 65_536

_UNSHOWN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class Level(StrEnum):
    """What a notification says: that something came, from whom too, or the text as well."""

    NOTHING = "nothing"
    WHO = "who"
    TEXT = "text"


class Words(Struct, frozen=True):
    """What is said, in the language of the person; the last two where a text names this person."""

    anything: str = "A new message"
    who: str = "A message from {name}"
    text: str = "{name}: {text}"
    mention: str = "{name} mentions you"
    mention_text: str = "{name} mentions you: {text}"


class Notified(Struct, frozen=True):
    """One notification. `tag` is the conversation, whose next one takes its place, `entry` the id.

    `name` and `text` are peer text, and empty where the level does not say them; `line` is what is shown.
    """

    tag: str
    entry: str
    level: Level
    name: str
    text: str
    mention: bool
    line: str

    def __repr__(self) -> str:
        return f"Notified({self.tag[:8]}…)"


def notified(
    level: Level, words: Words, tag: str, entry: str, name: str, text: str, *, mention: bool
) -> Notified:
    """A notification that has no more than its level says."""
    name = clean(name) if level is not Level.NOTHING else ""
    text = clean(text) if level is Level.TEXT else ""
    if level is Level.NOTHING:
        line = words.anything
    elif level is Level.WHO:
        line = (words.mention if mention else words.who).format(name=name)
    else:
        line = (words.mention_text if mention else words.text).format(name=name, text=text)
    return Notified(tag, entry, level, name, text, mention and level is not Level.NOTHING, clean(line))


def clean(text: str) -> str:
    """Peer text in one line, without what steers, hides or turns it, and not longer than is shown."""
    spaced = (" " if one.isspace() else one for one in text[: 4 * CHARACTERS_MAX])
    line = " ".join("".join(one for one in spaced if unicodedata.category(one) not in _UNSHOWN).split())
    return line if len(line) <= CHARACTERS_MAX else f"{line[: CHARACTERS_MAX - 1]}…"


def mentions(text: str, name: str) -> bool:
    """Whether a text has @ and the name of this person, or its first word."""
    whole = name.casefold().strip()
    wanted = "|".join(re.escape(one) for one in dict.fromkeys((whole, *whole.split()[:1])) if one)
    return bool(wanted) and re.search(rf"(?<!\w)@(?:{wanted})(?!\w)", text.casefold()) is not None


class Bursts:
    """Whether a notification is due: one for a burst, and another while it lasts. `monotonic`: in seconds.

    A mention is due by itself, so that a burst does not hide it.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._came: dict[bool, float] = {}
        self._last: dict[bool, float] = {}

    def due(self, *, mention: bool = False) -> bool:
        now = self._monotonic()
        kinds = (False, True) if mention else (False,)
        due = [self._is_due(kind, now) for kind in kinds]
        if any(due):
            self._last |= dict.fromkeys(kinds, now)
        return any(due)

    def _is_due(self, kind: bool, now: float) -> bool:
        came, last = self._came.get(kind), self._last.get(kind)
        self._came[kind] = now
        in_burst = came is not None and now - came < BURST
        return not (in_burst and last is not None and now - last < AGAIN)


class Way(Protocol):
    """Shows a notification and closes that of a tag. A failure is no concern of the person. May block."""

    async def show(self, one: Notified) -> None: ...
    async def close(self, tag: str) -> None: ...
    async def end(self) -> None: ...


class Program:
    """A program of the person, which gets each notification as a line of JSON on its standard input."""

    def __init__(self, line: tuple[str, ...], within: float = PROGRAM_WITHIN) -> None:
        self._line = line
        self._within = within
        self._drawn = dict[str, str]()  # what stands for a conversation of which nothing is said

    async def show(self, one: Notified) -> None:
        said = one.level is not Level.NOTHING
        await self._run(
            {
                "event": "notify",
                "tag": one.tag if said else self._stands_for(one.tag),
                "id": one.entry if said else "",
                "level": one.level.value,
                "mention": one.mention,
                "name": one.name,
                "text": one.text,
                "line": one.line,
            }
        )

    async def close(self, tag: str) -> None:
        await self._run({"event": "close", "tag": self._drawn.pop(tag, tag)})

    async def end(self) -> None:
        """Nothing is held."""

    def _stands_for(self, tag: str) -> str:
        """A random tag until it is closed: that of a conversation is the id of a person."""
        drawn = self._drawn[tag] = self._drawn.pop(tag, "") or secrets.token_hex(16)
        if len(self._drawn) > SHOWN_MAX:
            del self._drawn[next(iter(self._drawn))]
        return drawn

    async def _run(self, fields: Mapping[str, object]) -> None:
        from asyncio.subprocess import DEVNULL as null
        from asyncio.subprocess import PIPE as pipe

        said = json.dumps(fields, ensure_ascii=True) + "\n"
        try:
            running = await asyncio.create_subprocess_exec(
                *self._line, stdin=pipe, stdout=null, stderr=null, start_new_session=True
            )
        except OSError:
            return  # it is not there any more; a conversation has no use for that news
        try:
            async with asyncio.timeout(self._within):
                await running.communicate(said.encode())
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            pass
        finally:
            if running.returncode is None:
                with suppress(ProcessLookupError):
                    running.kill()
                await running.wait()


class Bus:
    """The notifications of the desktop, over the session's D-Bus (org.freedesktop.Notifications)."""

    def __init__(self, address: str) -> None:
        from chat.session_bus import Notifications

        self._server = Notifications(address)
        self._ids: dict[str, int] = {}

    async def show(self, one: Notified) -> None:
        shown = await self._server.show("Parlour", one.line, self._ids.get(one.tag, 0), urgent=one.mention)
        self._ids.pop(one.tag, None)
        if shown:
            self._ids[one.tag] = shown
        if len(self._ids) > SHOWN_MAX:
            del self._ids[next(iter(self._ids))]

    async def close(self, tag: str) -> None:
        if shown := self._ids.pop(tag, 0):
            await self._server.close(shown)

    async def end(self) -> None:
        await self._server.end()


class Outside:
    """Shows and closes notifications by one way, in order and one at a time, in its user's event loop."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._waiting: asyncio.Queue[Notified | str] = asyncio.Queue()
        self._shown: dict[str, str] = {}
        self._worker: asyncio.Task[None] | None = None

    def show(self, one: Notified) -> None:
        """Show it soon, or leave it out where too many wait."""
        if self._waiting.qsize() < WAITING_MAX:
            self._shown.pop(one.tag, None)
            self._shown[one.tag] = one.entry
            if len(self._shown) > SHOWN_MAX:
                del self._shown[next(iter(self._shown))]
            self._put(one)

    def close(self, tag: str, entry: str = "") -> None:
        """Close that of a conversation, if one is shown; with `entry` only that of this entry."""
        shown = self._shown.get(tag)
        if shown is not None and entry in ("", shown):
            del self._shown[tag]
            self._put(tag)

    def close_all(self) -> None:
        for tag in tuple(self._shown):
            self.close(tag)

    async def end(self) -> None:
        """Wait until all is shown and closed that waits, but not for long."""
        if self._worker is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(ENDS_WITHIN):
                    await self._waiting.join()
            self._worker.cancel()
            await asyncio.wait({self._worker})
            self._worker = None
        await self._way.end()

    def _put(self, one: Notified | str) -> None:
        self._waiting.put_nowait(one)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="notifications")

    async def _work(self) -> None:
        while True:
            one = await self._waiting.get()
            try:
                await (self._way.close(one) if isinstance(one, str) else self._way.show(one))
            finally:
                self._waiting.task_done()


def _unusable(path: Path, problem: str) -> UsageError:
    problem = clean(problem)
    return UsageError(
        phrase(
            "The configuration {path} cannot be used ({problem}): correct it.",
            path=str(path),
            problem=problem,
        )
    )


def program_in(path: Path) -> tuple[str, ...]:
    """`notify = ["program", "argument"]` of a configuration file; empty where there is none.

    Raises UsageError: the file or this entry is not as it should be.
    """
    import tomllib

    try:
        with path.open("rb") as file:
            written = file.read(_CONFIG_MAX)
    except FileNotFoundError:
        return ()
    except OSError as failure:
        raise _unusable(path, failure.strerror or "unreadable") from None
    try:
        line = tomllib.loads(written.decode()).get("notify", [])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise _unusable(path, str(failure)) from None
    if not isinstance(line, list) or not all(isinstance(one, str) and "\0" not in one for one in line):
        problem = 'write notify = ["program", "argument"]'
        raise _unusable(path, problem)
    if line and not line[0]:
        raise _unusable(path, "notify names no program")
    return tuple(line)


class Turn(Protocol):
    """Whose turn it is to notify of a profile: the interface's while it is open, else that of `listen`."""

    def take(self) -> None:
        """From now on this interface notifies. Where that cannot be said, others do, too."""

    def give_back(self) -> None:
        """Let `listen` notify again."""

    def is_taken(self) -> bool:
        """Whether an interface notifies now."""


class Osc(Enum):
    """How a terminal is asked for a notification: the number of the OSC sequence."""

    TEXT = 9
    """iTerm2's: one text."""
    TITLED = 777
    """rxvt's: a title and a text."""
    KITTY = 99
    """kitty's: parts with an id, so that a later one takes the place of an earlier one."""


_TITLE: Final = "Parlour"
_END: Final = "\x1b\\"
_PROGRAMS: Final = {
    "iTerm.app": Osc.TEXT,
    "kitty": Osc.KITTY,
    **dict.fromkeys(("WezTerm", "ghostty", "WarpTerminal"), Osc.TITLED),
}
_TERMS: Final = {
    "xterm-kitty": Osc.KITTY,
    **dict.fromkeys(("xterm-ghostty", "wezterm", "foot", "rxvt-unicode", "contour"), Osc.TITLED),
}
# Inside tmux or screen the terminal's own names are hidden, and these are what it left behind.
_TRACES: Final = {
    "KITTY_WINDOW_ID": Osc.KITTY,
    "ITERM_SESSION_ID": Osc.TEXT,
    **dict.fromkeys(("WEZTERM_PANE", "GHOSTTY_RESOURCES_DIR", "VTE_VERSION"), Osc.TITLED),
}


def osc_of(environment: Mapping[str, str]) -> Osc | None:
    """How this terminal shows notifications; None where it is not known to."""
    term = environment.get("TERM", "")
    named = (found for name, found in _TERMS.items() if term == name or term.startswith(f"{name}-"))
    left = (found for name, found in _TRACES.items() if environment.get(name))
    return _PROGRAMS.get(environment.get("TERM_PROGRAM", "")) or next(chain(named, left), None)


def sequence(how: Osc, line: str, environment: Mapping[str, str]) -> str:
    """What shows a cleaned line in such a terminal."""
    match how:
        case Osc.TEXT:
            # The name first: a text that began with a number would be a command to some terminals.
            written = f"\x1b]9;{_TITLE}: {line}{_END}"
        case Osc.TITLED:
            written = f"\x1b]777;notify;{_TITLE};{line.replace(';', ',')}{_END}"
        case _:
            named = f"\x1b]99;i=parlour:d=0:p=title;{_TITLE}{_END}"
            written = f"{named}\x1b]99;i=parlour:d=1:p=body;{line}{_END}"
    return passed_on(written, environment)


def closing(how: Osc, environment: Mapping[str, str]) -> str:
    """What closes the last one in such a terminal; empty where nothing does."""
    return passed_on(f"\x1b]99;i=parlour:p=close;{_END}", environment) if how is Osc.KITTY else ""


def passed_on(written: str, environment: Mapping[str, str]) -> str:
    """A sequence in the form in which tmux passes it on to the terminal around it, if it is set to."""
    if not environment.get("TMUX"):
        return written
    doubled = written.replace("\x1b", "\x1b\x1b")
    return f"\x1bPtmux;{doubled}{_END}"


class Terminal:
    """A terminal that shows notifications; `write` writes to it."""

    def __init__(self, how: Osc, write: Callable[[str], None], environment: Mapping[str, str]) -> None:
        self._how, self._write, self._environment = how, write, environment
        self._last = ""

    async def show(self, one: Notified) -> None:
        self._last = one.tag
        self._write(sequence(self._how, one.line, self._environment))

    async def close(self, tag: str) -> None:
        if tag == self._last and (written := closing(self._how, self._environment)):
            self._write(written)

    async def end(self) -> None:
        """Nothing is held."""


def way_outside(
    environment: Mapping[str, str],
    program: tuple[str, ...] = (),
    write: Callable[[str], None] | None = None,
) -> Outside | None:
    """The way that this system has: the program of the person, the terminal behind `write`, or the desktop.

    None without any.
    """
    if program:
        return Outside(Program(program))
    if write is not None and (how := osc_of(environment)) is not None:
        return Outside(Terminal(how, write, environment))
    if address := environment.get("DBUS_SESSION_BUS_ADDRESS", ""):
        with suppress(UsageError):
            return Outside(Bus(address))
    return None
