"""The output of the program: results on standard output, everything else on standard error.

Peer text reaches a terminal only through `one_line` or `block`, and JSON only as ASCII.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, TextIO, TypeVar

import click

from chat.interface import (
    UNSEEN,
    ContactView,
    Messenger,
    ParlourError,
    UsageError,
    hits,
    label_parts,
    looks_same,
    means_notes,
    notes_view,
)

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories that draw nothing, steer the terminal or turn the direction of text."""

_JOINERS: Final = frozenset("\u200c\u200d")
"""Persian, Indic scripts and emoji need them inside a text; in a name they only deceive."""


class OutputClosed(Exception):
    """The reader of the output closed it, which is no failure."""


class OutputFailed(Exception):
    """The output cannot be written. The argument is the text of the system."""


def one_line(text: str) -> str:
    """A name or message without anything that steers, hides or breaks the line."""
    spaced = "".join(" " if character.isspace() else character for character in UNSEEN.sub("", text))
    return "".join(character for character in spaced if _is_shown(character))


def block(text: str, indent: str) -> str:
    """A text of several lines; all but the first are indented, so that none passes for another entry."""
    text = text.replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n").expandtabs(4)
    lines = [[one for one in line if _is_shown(one) or one in _JOINERS] for line in text.split("\n")]
    return f"\n{indent}".join("".join(line) for line in lines)


def highlighted(text: str, wanted: re.Pattern[str] | None) -> str:
    """A filtered text, with its hits in reverse video where a terminal shows it."""
    if wanted is None or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return text
    shown, done = "", 0
    for start, end in hits(text, wanted):
        shown += text[done:start] + click.style(text[start:end], reverse=True)
        done = end
    return shown + text[done:]


def timestamp(time: datetime) -> str:
    """2026-11-25T09:30:00.000Z"""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def result(fields: Mapping[str, object], text: str, *, as_json: bool) -> None:
    """One result: its fields as a JSON line, or the text, which is filtered already."""
    # `ensure_ascii` writes control characters, DEL and turned text as escapes.
    _write(json.dumps(fields, ensure_ascii=True) if as_json else text, sys.stdout)


def note(text: str) -> None:
    """A line on standard error: progress, a question's preface, a failure."""
    _write(one_line(text), sys.stderr)


def question(text: str) -> None:
    """A question on standard error; the answer is typed on the same line."""
    _write(one_line(text) + " ", sys.stderr, newline=False)


def raw(written: str) -> None:
    """A sequence for the terminal behind standard error."""
    _write(written, sys.stderr, newline=False)


@contextmanager
def passing_screen() -> Iterator[None]:
    """At a terminal, show on its second screen what is written meanwhile, and clear that at the end.

    The second screen has no scrollback. A terminal without one keeps what was written.
    """
    at_terminal = sys.stdout.isatty()
    if at_terminal:
        _write("\x1b[?1049h", sys.stdout, newline=False)
        clear_screen()
    try:
        yield
    finally:
        if at_terminal:
            clear_screen()
            _write("\x1b[?1049l", sys.stdout, newline=False)


def clear_screen() -> None:
    if sys.stdout.isatty():
        _write("\x1b[2J\x1b[H", sys.stdout, newline=False)


class SignOfLife:
    """Progress on standard error: at a terminal in one line that changes, else a single note."""

    def __init__(self) -> None:
        self._shown = False

    def show(self, what: str, how_far: str) -> None:
        if sys.stderr.isatty():
            _write(f"\r{one_line(what)} {one_line(how_far)}", sys.stderr, newline=False)
        elif not self._shown:
            note(what)
        self._shown = True

    def end(self) -> None:
        if self._shown and sys.stderr.isatty():
            _write("", sys.stderr)


def _is_shown(character: str) -> bool:
    return unicodedata.category(character) not in _HIDDEN


def _write(text: str, stream: TextIO, *, newline: bool = True) -> None:
    try:
        click.echo(text, file=stream, nl=newline)
    except OSError as error:
        # The interpreter would try to write the rest at exit, and fail with a traceback.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        if isinstance(error, BrokenPipeError):
            raise OutputClosed from None
        raise OutputFailed(error.strerror or type(error).__name__) from None


def labels(contacts: Iterable[ContactView]) -> dict[str, ContactView]:
    """Each contact by its label, to show and to type: none looks like another one (chat.looks)."""
    return {one_line(view.label).strip(): view for view in contacts}


def held_line(label: str, view: ContactView) -> str:
    """Why nothing is sent to a contact: its identity has changed, or only a removed device paired with it."""
    if view.unvouched:
        return f"Only a removed device of yours has paired with {label}. Until you compare, nothing is sent."
    return f"The identity of {label} has changed. Until you compare it, nothing is sent to {label}."


def label_among(contacts: Iterable[ContactView], person: str) -> str:
    """The label of one of these contacts, or of one that is gone the first digits of its id."""
    for label, view in labels(contacts).items():
        if view.person == person:
            return label
    return f"~{person[:8]}"


def find(contacts: Iterable[ContactView], name: str) -> tuple[str, ContactView]:
    """Label and view of the contact that a name means. Raises UsageError, with what to choose from.

    Where the notes are among them, they alone have their name: nothing meant for them goes to a contact.
    """
    held, drawn = labels(contacts), _drawn(name)
    notes = next(((label, view) for label, view in held.items() if view.notes), None)
    if notes is not None and means_notes(name):
        return notes
    ways: tuple[Callable[[str, ContactView], bool], ...] = (
        lambda _, view: name == view.person,  # a contact may be named as the id of another one
        lambda label, _: name == label,
        lambda label, _: drawn == _drawn(label),
        lambda label, _: drawn.casefold() == _drawn(label).casefold(),
    )
    for fits in ways:
        fitting = {label: view for label, view in held.items() if fits(label, view)}
        if len(fitting) == 1:
            return fitting.popitem()
        if fitting:
            raise UsageError(f"{name} matches more than one contact: name one of {', '.join(fitting)}.")
    marked = [label for label in held if label_parts(label)[1] and looks_same(label_parts(label)[0], drawn)]
    if marked:
        raise UsageError(f"{name} may be somebody else: name {' or '.join(marked)}. {MARKED}")
    others = [label for label, view in held.items() if not view.notes]
    known = f"your contacts are {', '.join(others)}"
    if not others:
        known = "you have no contacts yet, see 'parlour pair --help'"
    raise UsageError(f"No contact is named {name}: {known}.")


MARKED: Final = "The digits after ~ are the first of the person's id, and tell apart whose names look alike."


def say_marks(labels: Iterable[str]) -> None:
    """Explain the digits behind a name, where one of these has them."""
    if any(label_parts(label)[1] for label in labels):
        note(MARKED)


async def talks(opened: Messenger) -> tuple[ContactView, ...]:
    """The contacts, and after them the notes of this person."""
    return (*await opened.contacts(), notes_view(await opened.me()))


def _drawn(name: str) -> str:
    """A name without invisible characters and other forms of letters: equal for names that look the same."""
    return unicodedata.normalize("NFKC", one_line(name)).strip()


DONE: Final = 0
FAILED: Final = 1
KEPT: Final = 75  # `send`: the entry waits for an absent contact (EX_TEMPFAIL of sysexits.h)
STOPPED: Final = "Interrupted: run the command again."


class Stopped(ParlourError):
    """The person stopped the command, or answered no."""


def exit_status(error: BaseException, *, verbose: bool) -> int:
    """The status of a failure, after one line about it on standard error.

    The text of an unexpected exception may hold a peer's words or a key. Only its kind is shown, and with
    `verbose` the places in the code.
    """
    status, line = _verdict(error)
    try:
        if line:
            note(line)
        if verbose and not isinstance(error, ParlourError | click.ClickException):
            for place in _places(error):
                note(place)
    except (OutputClosed, OutputFailed):
        return status  # nowhere is left to say it
    return status


def _verdict(error: BaseException) -> tuple[int, str]:
    match error:
        case ParlourError():
            return error.exit_status, str(error)
        case click.ClickException():
            line = " ".join(error.format_message().split())
            context = error.ctx if isinstance(error, click.UsageError) else None
            line += "" if line.endswith((".", "?")) else "."
            hint = f" '{context.command_path} --help' shows how." if context is not None else ""
            return UsageError.exit_status, f"{line}{hint}"
        case click.Abort():  # Ctrl-C, as click has it
            return FAILED, STOPPED
        case OutputClosed():
            return DONE, ""
        case OutputFailed():
            return FAILED, f"The output cannot be written ({error}): free some space or choose another place."
        case OSError() if error.strerror:
            line = f"The system reported an error ({error.strerror}): fix it and run the command again."
            return FAILED, line
    kind = type(error).__name__
    line = f"Parlour had an internal error ({kind}): run it with --verbose to see where, and report it."
    return FAILED, line


T = TypeVar("T")


def contained(what: T, work: Callable[[T], object], verbose: Callable[[], bool]) -> None:
    """Do work for one event or view. A fault of the program in it is one line, and the next one follows.

    Raises OutputClosed and OutputFailed, after which nothing can be said.
    """
    try:
        work(what)
    except (OutputClosed, OutputFailed):
        raise
    except Exception as fault:  # noqa: BLE001 - whatever it is, it must not end the engine in this process
        name, kind = type(what).__name__, type(fault).__name__
        note(f"{name} could not be shown ({kind}): run this with --verbose to see where, and report it.")
        if verbose():
            for place in _places(fault):
                note(place)


def _places(error: BaseException) -> Iterator[str]:
    """Where it happened, the innermost last; and what caused it before."""
    if error.__cause__ is not None:
        yield from _places(error.__cause__)
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
    yield f"  {type(error).__name__}"


class Places(logging.Formatter):
    """Log lines with the places of an exception in the code, without its text."""

    def formatException(self, ei: Any) -> str:
        return "\n".join(_places(ei[1]))


def quieten(verbose: Callable[[], bool]) -> None:
    """Nothing but the program itself writes to standard error, whatever a library or a thread does."""
    logging.getLogger().handlers = [logging.NullHandler()]
    threading.excepthook = lambda failed: in_background(failed.exc_value, verbose())
    sys.unraisablehook = lambda failed: in_background(failed.exc_value, verbose())


def log_to_stderr() -> None:
    """Show the engine's log; other libraries' logs may hold a peer's text."""
    handler = logging.StreamHandler()
    handler.setFormatter(Places("%(asctime)s %(name)s %(message)s"))
    engine = logging.getLogger("chat")
    engine.handlers, engine.propagate = [handler], False
    engine.setLevel(logging.DEBUG)


def in_background(error: BaseException | None, verbose: bool) -> None:
    """One line about a failure that nobody waits for; with `verbose` the places too."""
    kind = type(error).__name__ if error is not None else "no exception"
    note(f"An internal error occurred in the background ({kind}): run it with --verbose to see where.")
    if verbose and error is not None:
        for place in _places(error):
            note(place)
