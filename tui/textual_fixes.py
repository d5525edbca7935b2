"""Corrections of Textual: text of uncertain width, line breaks, pastes, terminals, garbage collection."""

from __future__ import annotations

import asyncio
import codecs
import gc
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from rich._wrap import divide_line
from rich.cells import cell_len
from rich.console import Console
from textual import _time, _xterm_parser, constants, content, events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._compositor import CompositorUpdate
from textual._xterm_parser import XTermParser
from textual.driver import Driver
from textual.keys import Keys
from textual.message import Message

from tui.terminal_answers import QUIET, Answers
from tui.text.layouts import LETTERS
from tui.text.safe import widest
from tui.text.wrapping import cuts, has_wide

if TYPE_CHECKING:
    from textual.drivers.linux_driver import LinuxDriver

_SAVE, _RESTORE = "\x1b7", "\x1b8"
# Scripts and symbols on whose width terminals agree; everything else is anchored.
_CERTAIN = (
    "\x00-\u02ff"  # ASCII, Latin
    "\u0370-\u0482\u048a-\u058f"  # Greek, Cyrillic, Armenian
    "\u2010-\u2027\u2030-\u205e"  # dashes, quotation marks, ellipsis
    "\u2190-\u21ff\u2500-\u25ff\u2713\u2714\u2717"  # arrows, boxes, blocks, dots, ticks
    "\u3001-\u3029\u3041-\u3096\u30a0-\u30ff"  # CJK punctuation, kana
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"  # ideographs, Hangul
    "\uff01-\uff60"  # full-width forms
)
_UNCERTAIN = re.compile(f"[^{_CERTAIN}]")


@cache
def _pieces() -> re.Pattern[str]:
    """Compiled at the first use: a start seldom has one."""
    return re.compile(f"\x1b\\[[0-?]*[ -/]*[@-~]|\x1b[^\\[]|[^\x1b\n]*[^{_CERTAIN}][^\x1b\n]*|[^\x1b]+|\x1b")


class Anchored(CompositorUpdate):
    def __init__(self, update: CompositorUpdate) -> None:
        self._update = update

    def render_segments(self, console: Console) -> str:
        return anchored(self._update.render_segments(console))


def anchored(output: str) -> str:
    """The same output with every run of uncertain width tied to its columns.

    A run is what stands between two control sequences: one style in one row.
    """
    if not _UNCERTAIN.search(output):
        return output
    return _pieces().sub(_piece, output)


def _piece(match: re.Match[str]) -> str:
    piece = match.group()
    if piece.startswith("\x1b") or not _UNCERTAIN.search(piece):
        return piece
    return "".join(_anchor(run) for run in re.split("(\n)", piece))


def _anchor(run: str) -> str:
    columns = cell_len(run)
    if not columns or not _UNCERTAIN.search(run):
        return run
    # Where a terminal makes the run longer, the padding at its end gives way.
    excess = widest(run) - columns
    text = run[: len(run) - min(excess, len(run) - len(run.rstrip(" ")))]
    return f"{_SAVE}{' ' * columns}{_RESTORE}{text}{_RESTORE}\x1b[{columns}C"


def rows(line: str, width: int, fold: bool = True) -> list[int]:
    """Where the rows of a line begin, but the first, as Textual asks for it."""
    width = max(1, width)  # a window may become so small that a dialog has no columns left
    if not fold or not has_wide(line):
        return divide_line(line, width, fold)
    if cell_len(line) <= width:
        return []  # as it was made to fit, also where a terminal may draw a sign of it wider
    return sorted({start for start, _end in cuts(line, width)} - {0})


def use_line_breaks() -> None:
    vars(content)["divide_line"] = rows


_ESCAPE: Final = "\x1b"
_BEGIN: Final = "\x1b[200~"
_END: Final = "\x1b[201~"
_DRIVER: Final = "win32" if sys.platform == "win32" else "linux_driver"


# A number or more in each field: modifiers and event type in the second.
_EXTENDED: Final = re.compile(f"{_ESCAPE}\\[([\\d:]*(?:;[\\d:]*){{1,2}}|\\d+(?=u))([u~ABCDEFHPQRS])")
# Textual takes Alt with a letter, and an escape character right after it, for text: "^n" for Alt+N twice.
_ALT: Final = re.compile(f"\x1b([a-z0-9{LETTERS}])")


# What a terminal answers that speaks the protocol of kitty, and Esc as it sends it.
_SPEAKS: Final = re.compile(f"{_ESCAPE}\\[(?:\\?[1-9]\\d*u|27(?:;[\\d:]*)*u)")
ASK_KITTY: Final = "\x1b[?u"
"""Asks a terminal whether it speaks that protocol; others ignore it."""


def _apart(match: re.Match[str]) -> str:
    """Esc and a letter, where Alt with a letter has a form of its own."""
    return f"{_ESCAPE}[27u{match.group(1)}"


def _extended(match: re.Match[str]) -> str:
    """The same key in the form that has an end of its own, unless Textual knows the short one."""
    known = match.group() in ANSI_SEQUENCES_KEYS
    return match.group() if known else f"{_ESCAPE}[{ord(match.group(1))};3u"


_RELEASED: Final = "3"


def _is_known(sequence: str) -> bool:
    """Whether Textual takes a control sequence for a key, the mouse, or an answer that it asked for."""
    return len(sequence) <= _xterm_parser._MAX_SEQUENCE_SEARCH_THRESHOLD and (
        sequence in ANSI_SEQUENCES_KEYS
        or sequence in _xterm_parser.SPECIAL_SEQUENCES
        or _EXTENDED.fullmatch(sequence) is not None
        or any(known.fullmatch(sequence) is not None for known in _MEANS)
    )


_MEANS: Final = (
    _xterm_parser._re_mouse_event,
    _xterm_parser._re_terminal_mode_response,
    _xterm_parser._re_cursor_position,
    re.compile(f"{_ESCAPE}\\[48(?:;[1-9]\\d{{0,3}}(?::[\\d:]*)?){{2}}(?:;\\d+(?::[\\d:]*)?){{2}}t"),
)
"""The last is the size of the window: no larger than one of 9,999 rows and columns, and not empty."""
_NO_KEY: Final = events.Key(Keys.Ignore, None)


PASTE_QUIET: Final = 2.0
"""Seconds without a byte after which the text of a paste so far is pasted. What follows is text as well."""

PASTE_MAX: Final = 1 << 20
"""Characters of a paste that are kept until then, far above those of a message. The terminal fills it."""

_LEAVES: Final = ("\x1b", "\x03", "\x1b[27u", "\x1b[27;1u", "\x1b[99;5u")
"""Esc and Ctrl+C, with and without the protocol of kitty. One that comes alone after a silence ends a paste
whose end was lost: nobody else presses it, since no text of a paste has a say in when its bytes come."""


class PasteParser(XTermParser):
    """Reads keys as Textual does; a paste loses its escape characters first, and answers are left out.

    A key with more than was asked for (kitty's event types and alternate keys), or with numbers that are no
    characters, would end the thread that reads, and with it every key.
    """

    def __init__(self, debug: bool = False) -> None:
        self._speaks_kitty = False
        self._lone_escape = False  # which a letter may follow in the next piece
        self._pasting = False
        self._rest = ""
        self._pasted = 0  # characters of the paste that nobody has got
        self._leaving = False
        self._last = 0.0
        self._answers = Answers(_is_known)
        super().__init__(debug)

    def feed(self, data: str) -> Iterable[Message]:
        now = _time.get_time()
        quiet, self._last = now - self._last, now
        self._leaving = self._pasting and quiet >= PASTE_QUIET and data in _LEAVES
        if self._leaving and data != _ESCAPE:
            return list(self._leave_paste())
        seen = self._cleaned(data)
        if not self._speaks_kitty and _SPEAKS.search(seen) is not None:
            self._speaks_kitty = True
        if self._speaks_kitty and self._lone_escape and _ALT.match(_ESCAPE + seen):
            self._forget()
            self._answers.too_late()
            seen = _ESCAPE + seen
        self._lone_escape = seen.endswith(_ESCAPE)
        seen = _ALT.sub(_apart if self._speaks_kitty else _extended, seen)
        if not data:
            return super().feed(data)  # the end of all input to Textual
        found: list[Message] = []
        for keys in self._answers.keys_of(seen):
            if keys is None:
                self._forget()
            else:
                found += super().feed(keys)
        if self._answers.holds:
            self._timeout_time = None
        return found

    def tick(self) -> Iterable[Message]:
        """Called a few times per second."""
        now = _time.get_time()
        if self._timeout_time is not None and now >= self._timeout_time:
            self._answers.too_late()
        found = list(super().tick())
        quiet = now - self._last
        if self._answers.holds and quiet >= QUIET:
            self._answers.give_up()
            self._forget()
        if self._leaving and self._rest == _ESCAPE and quiet >= constants.ESCAPE_DELAY:
            found += self._leave_paste()
        elif self._pasting and self._pasted and quiet >= PASTE_QUIET:
            self._pasted = 0
            found += super().feed(_END + _BEGIN)
        return found

    def _forget(self) -> None:
        """Let Textual forget the sequence that it has begun to read."""
        self._gen = self.parse(self._tokens.append)
        self._awaiting, self._timeout_time = next(self._gen), None

    def _leave_paste(self) -> Iterable[Message]:
        self._pasting, self._leaving, self._rest = False, False, ""
        return super().feed(_END)

    def _parse_extended_key(self, sequence: str) -> list[events.Key] | None:  # type: ignore[override]
        found = _EXTENDED.fullmatch(sequence)
        fields = [field.split(":") for field in found[1].split(";")] if found is not None else []
        if found is not None and any(len(field) > 1 for field in fields[:2]):
            if fields[1:] and fields[1][1:2] == [_RELEASED]:
                return [_NO_KEY]
            first = ";".join(field[0] for field in fields[:2])
            sequence = f"{_ESCAPE}[{';'.join([first, *map(':'.join, fields[2:])])}{found[2]}"
        try:
            return super()._parse_extended_key(sequence)
        except (ValueError, OverflowError):
            return [_NO_KEY]

    def parse_mouse_code(self, code: str) -> Message | None:
        """A report of the mouse. One in pixels means nothing where the terminal says that it has none."""
        size = self.terminal_pixel_size
        if self.mouse_pixels and size is not None and not all(size):
            return None
        return super().parse_mouse_code(code)

    def _cleaned(self, data: str) -> str:
        """What of the input the parser may see now; pieces of input end anywhere."""
        seen = ""
        while data:
            kept, data = self._of_paste(data) if self._pasting else self._of_keys(data)
            seen += kept
        return seen

    def _of_keys(self, data: str) -> tuple[str, str]:
        """The input up to the begin of a paste, all of which the parser sees, and what follows."""
        looked_at = self._rest + data
        keys, begin, _paste = looked_at.partition(_BEGIN)
        if not begin:
            self._rest = looked_at[1 - len(_BEGIN) :]
            return data, ""
        end = len(keys) + len(begin) - len(self._rest)
        self._pasting, self._rest = True, ""
        return data[:end], data[end:]

    def _of_paste(self, data: str) -> tuple[str, str]:
        """The paste up to its end, and what follows; what may be a part of its end is held back."""
        text, end, keys = (self._rest + data).partition(_END)
        self._pasting, self._rest = not end, ""
        if not end:
            held = next((n for n in range(len(_END) - 1, 0, -1) if text.endswith(_END[:n])), 0)
            text, self._rest = text[: len(text) - held], text[len(text) - held :]
        text = text.replace(_ESCAPE, "")[: PASTE_MAX - self._pasted]
        self._pasted = self._pasted + len(text) if self._pasting else 0
        return text + end, keys


def use_paste_parser() -> None:
    """Let the terminal be read by `PasteParser` from the next start of an application on.

    What is no UTF-8 is read as U+FFFD: it would end the thread that reads, and the interface with it.
    """
    driver = import_module(f"textual.drivers.{_DRIVER}")
    setattr(driver, XTermParser.__name__, PasteParser)
    if hasattr(driver, "getincrementaldecoder"):  # Windows reads characters

        def decoder(encoding: str) -> Callable[[], codecs.IncrementalDecoder]:
            return partial(codecs.getincrementaldecoder(encoding), errors="replace")

        vars(driver)["getincrementaldecoder"] = decoder


_SECOND_SCREEN: Final = "\x1b[?1049h"
_FORMER_KEYS: Final = "\x1b[<u"
_TURNS: Final = 8
"""Turns of the event loop in which the last key that was read reaches the application's queue."""


async def let_go_of(driver: Driver | None) -> list[Any] | None:
    """Leave a terminal to the next start of this program; returns its modes before the first one.

    Nothing is read any more, and everything is written. The second screen and the modes stay. What a terminal
    counts is taken back, and the mouse, of which half a report might have been read.
    """
    if sys.platform == "win32":
        return None
    from textual.drivers._writer_thread import WriterThread
    from textual.drivers.linux_driver import LinuxDriver

    if not isinstance(driver, LinuxDriver) or driver._key_thread is None or driver._writer_thread is None:
        return None
    assert driver._file is not None
    driver._disable_mouse_support()
    give_wheel_back(driver)
    driver.write(_FORMER_KEYS)
    driver._writer_thread.stop()
    driver._writer_thread = WriterThread(driver._file)
    driver._writer_thread.start()
    driver.exit_event.set()
    await asyncio.to_thread(driver._key_thread.join)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    return driver.attrs_before


_WHEEL_IS_NO_KEY: Final = "\x1b[?1007s\x1b[?1007l"
_WHEEL_AS_BEFORE: Final = "\x1b[?1007h\x1b[?1007r"
"""Where a terminal keeps no modes, what most have at first: other programs scroll by it."""


def outlive_terminal() -> None:
    """Let Textual's writing thread go on where the terminal is gone.

    It ends otherwise, and who writes then waits for ever once its queue is full.
    """
    from textual.drivers._writer_thread import WriterThread

    def run(self: WriterThread) -> None:
        while (text := self._queue.get()) is not None:
            with suppress(OSError):
                self._file.write(text)
                if self._queue.qsize() == 0:
                    self._file.flush()
        with suppress(OSError):
            self._file.flush()

    WriterThread.run = run  # type: ignore[method-assign]


_begins: Final = WeakSet[Driver]()


def go_on_once() -> None:
    """Let Textual begin to read a terminal again only where it had ended that, as it does for Ctrl+Z.

    A second thread would read it otherwise after SIGSTOP and SIGCONT: each gets a part of the keys, one never
    ends, and the modes to give back at the end are those of the interface.
    """
    if sys.platform == "win32":
        return
    from textual.drivers.linux_driver import LinuxDriver

    def go_on(self: LinuxDriver, *_signal: object) -> None:
        if self in _begins:
            return  # it was stopped there, in the background of a shell, and goes on by itself
        if self._must_signal_resume:
            self.resume_application_mode()
        else:  # a handler of a signal may stand within the queue that it would write to
            self._loop.call_soon_threadsafe(partial(_begin_again, self))

    LinuxDriver._sigcont_application = go_on  # type: ignore[method-assign]


def _begin_again(driver: LinuxDriver) -> None:
    """Set the modes that a shell has changed meanwhile, and draw what it has written over."""
    if driver in _begins or driver._key_thread is None or not driver._key_thread.is_alive():
        return
    _begins.add(driver)
    try:
        driver._must_signal_resume = True
        driver.suspend_application_mode()
        while driver._must_signal_resume:  # Textual stops itself for as long as a shell has the terminal
            driver.resume_application_mode()
    finally:
        _begins.discard(driver)


def use_mouse(driver: Driver | None, on: bool) -> None:
    """Let the terminal report the mouse, or keep it; also after the program was stopped and goes on."""
    if driver is None or getattr(driver, "_mouse", on) == on or not hasattr(driver, "_enable_mouse_support"):
        return
    if on:
        driver.write(_WHEEL_AS_BEFORE)
        driver._mouse = True
        driver._enable_mouse_support()
        if getattr(driver, "_mouse_pixels", False):  # what is read is taken for pixels already
            driver._enable_mouse_pixels()  # type: ignore[attr-defined]
    else:
        driver._disable_mouse_support()  # type: ignore[attr-defined]
        driver._mouse = False
        driver.write(_WHEEL_IS_NO_KEY)  # as arrow keys it would edit and select


def give_wheel_back(driver: Driver | None) -> None:
    """Before the terminal is another program's; `take_wheel` after that."""
    if driver is not None and not getattr(driver, "_mouse", True):
        driver.write(_WHEEL_AS_BEFORE)


def take_wheel(driver: Driver | None) -> None:
    if driver is not None and not getattr(driver, "_mouse", True):
        driver.write(_WHEEL_IS_NO_KEY)


def taking_over(modes: list[Any] | None) -> type[Driver] | None:
    """The driver of a terminal that `let_go_of` left; it gives back `modes` at the end."""
    if sys.platform == "win32":
        return None
    from textual.drivers.linux_driver import LinuxDriver

    class Continued(LinuxDriver):
        _begun = False

        def start_application_mode(self) -> None:
            super().start_application_mode()  # type: ignore[no-untyped-call]
            if not self._begun and modes is not None:
                self.attrs_before = modes
            self._begun = True

        def write(self, data: str) -> None:
            # Terminals clear the second screen when they show it, and it is shown already.
            if self._begun or data != _SECOND_SCREEN:
                super().write(data)

    return Continued


def pause_collection() -> None:
    """Collect nothing until `resume_collection`: there is little garbage in a start, and every look costs."""
    gc.disable()


def resume_collection() -> None:
    """Take what is there now for lasting, and collect what comes."""
    gc.collect()
    gc.freeze()
    gc.enable()


def collect_all() -> None:
    """Collect everything that nothing needs any more, whenever it came."""
    gc.unfreeze()
    gc.collect()
    gc.enable()
