"""What the program says: results on standard output, everything else on standard error.

Rules: a peer's text reaches a terminal only through `one_line` or `block`; with --json a result is one
line of ASCII with stable fields; a failure is one line; times are UTC, ISO 8601.

How contacts are named on the line and shown: by labels that the program shows and accepts.

Rules: two contacts are never taken for one, however alike their names look; no contact is chosen where
a name fits two.

How a run ends: every exception becomes one exit status and at most one line.

Rules: the text of an unexpected exception is never shown, it may hold a peer's words or a key; a
traceback is shown on demand only, and then as places in the code without values.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
import threading
import traceback
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import click

from chat.interface import ContactView, Messenger, ParlourError, UsageError

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories that draw nothing, steer the terminal or turn the direction of text."""

_JOINERS: Final = frozenset("\u200c\u200d")
"""Persian, Indic scripts and emoji need them inside a text; in a name they only deceive."""

_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks that draw nothing: fillers of Hangul and Khmer, empty Braille, variation selectors."""


class OutputClosed(Exception):
    """Whoever read the output has enough of it: the end, but no failure."""


class OutputFailed(Exception):
    """The output cannot be written; `reason` is the system's own text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def one_line(text: str) -> str:
    """A name or message without anything that steers, hides or breaks the line."""
    spaced = "".join(" " if character.isspace() else character for character in _UNSEEN.sub("", text))
    return "".join(character for character in spaced if _is_shown(character))


def block(text: str, indent: str) -> str:
    """A text of several lines; all but the first are indented, so that none passes for another entry."""
    lines = text.replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n").split("\n")
    return f"\n{indent}".join(_text_line(line) for line in lines)


def timestamp(time: datetime) -> str:
    """2026-11-25T09:30:00.000Z"""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def result(fields: Mapping[str, object], text: str, *, as_json: bool) -> None:
    """One result: its fields as a JSON line, or the text, which is filtered already."""
    _write(_json_line(fields) if as_json else text, sys.stdout)


def note(text: str) -> None:
    """A line on standard error: progress, a question's preface, a failure."""
    _write(one_line(text), sys.stderr)


def question(text: str) -> None:
    """A question on standard error; the answer is typed on the same line."""
    _write(one_line(text) + " ", sys.stderr, newline=False)


class SignOfLife:
    """Says on standard error that something goes on: at a terminal in one line, else once."""

    def __init__(self) -> None:
        self._shown = False

    def show(self, what: str, how_far: str) -> None:
        """That it goes on; at a terminal, in place of what was said before, how far it is."""
        if sys.stderr.isatty():
            _write(f"\r{one_line(what)} {one_line(how_far)}", sys.stderr, newline=False)
        elif not self._shown:
            note(what)
        self._shown = True

    def end(self) -> None:
        """Leave the line, so that the next one begins anew."""
        if self._shown and sys.stderr.isatty():
            _write("", sys.stderr)


def _json_line(fields: Mapping[str, object]) -> str:
    # Only printable ASCII stands as it is: controls, DEL and turned text come as \u escapes.
    return json.dumps(fields, ensure_ascii=True)


def _text_line(line: str) -> str:
    spaced = line.expandtabs(4)
    return "".join(character for character in spaced if _is_shown(character) or character in _JOINERS)


def _is_shown(character: str) -> bool:
    return unicodedata.category(character) not in _HIDDEN


def _write(text: str, stream: TextIO, *, newline: bool = True) -> None:
    try:
        click.echo(text, file=stream, nl=newline)
    except BrokenPipeError:
        _silence(stream)
        raise OutputClosed from None
    except OSError as error:
        _silence(stream)
        raise OutputFailed(error.strerror or type(error).__name__) from None


def _silence(stream: TextIO) -> None:
    """What could not be written would be tried again at exit, with a traceback."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


_SUFFIX_DIGITS: Final = (4, 8, 16, 64)
"""Digits of the person id that may follow a name; the fewest that tell all contacts apart are taken."""


def labels(contacts: Iterable[ContactView]) -> dict[str, ContactView]:
    """Each contact by the label to show and to type; no two of them look the same."""
    views = list(contacts)
    drawn = Counter(_drawn(view.label) for view in views)
    digits = next(
        n for n in _SUFFIX_DIGITS if n == 64 or len({view.person[:n] for view in views}) == len(views)
    )
    named: dict[str, ContactView] = {}
    for view in views:
        label = _drawn_label(view)
        if not label or drawn[_drawn(view.label)] > 1:
            label = f"{label}~{view.person[:digits]}"
        named[f"{label}~{view.person}" if label in named else label] = view
    return named


async def label_of(messenger: Messenger, person: str) -> str:
    """The label of a contact, or of one that is gone the first digits of its id."""
    return label_among(await messenger.contacts(), person)


def label_among(contacts: Iterable[ContactView], person: str) -> str:
    """The same among contacts at hand."""
    for label, view in labels(contacts).items():
        if view.person == person:
            return label
    return f"~{person[:8]}"


def find(contacts: Iterable[ContactView], name: str) -> tuple[str, ContactView]:
    """Label and view of the contact that a name means. Raises UsageError, with what to choose from."""
    held = labels(contacts)
    for fits in (_exactly(name), _as_drawn(name), _whatever_case(name)):
        fitting = {label: view for label, view in held.items() if fits(label, view)}
        if len(fitting) == 1:
            return fitting.popitem()
        if fitting:
            raise UsageError(f"{name} matches more than one contact: name one of {_list(fitting)}.")
    known = (
        f"your contacts are {_list(held)}" if held else "you have no contacts yet, see 'parlour pair --help'"
    )
    raise UsageError(f"No contact is named {name}: {known}.")


Fits = Callable[[str, ContactView], bool]


def _exactly(name: str) -> Fits:
    return lambda label, view: name in (label, view.person)


def _as_drawn(name: str) -> Fits:
    return lambda label, view: _drawn(name) in (_drawn(label), _drawn(view.name))


def _whatever_case(name: str) -> Fits:
    wanted = _drawn(name).casefold()
    return lambda label, view: wanted in (_drawn(label).casefold(), _drawn(view.name).casefold())


def _list(held: Mapping[str, ContactView]) -> str:
    return ", ".join(held)


def _drawn_label(view: ContactView) -> str:
    return one_line(view.label).strip()


def _drawn(name: str) -> str:
    """What two names share that look the same for want of invisible characters or other forms of letters."""
    return unicodedata.normalize("NFKC", one_line(name)).strip()


DONE: Final = 0
FAILED: Final = 1
KEPT: Final = 75
"""`send`: the entry waits for an absent contact (EX_TEMPFAIL of sysexits.h)."""

STOPPED: Final = "Interrupted: run the command again."


class Stopped(ParlourError):
    """The person stopped it, or decided against it."""


def exit_status(error: BaseException, *, verbose: bool) -> int:
    """The status of a failure, said in one line on standard error."""
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
            return UsageError.exit_status, _usage(error)
        case click.Abort():  # Ctrl-C, as click has it
            return FAILED, STOPPED
        case OutputClosed():
            return DONE, ""
        case OutputFailed():
            return (
                FAILED,
                f"The output cannot be written ({error.reason}): free some space or choose another place.",
            )
        case OSError() if error.strerror:
            return (
                FAILED,
                f"The system reported an error ({error.strerror}): fix it and run the command again.",
            )
    kind = type(error).__name__
    return (
        FAILED,
        f"Parlour had an internal error ({kind}): run it with --verbose to see where, and report it.",
    )


def _usage(error: click.ClickException) -> str:
    line = " ".join(error.format_message().split())
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{line} '{context.command_path} --help' shows how." if context is not None else line


def _places(error: BaseException) -> Iterator[str]:
    """Where it happened, the innermost last; and what caused it before."""
    if error.__cause__ is not None:
        yield from _places(error.__cause__)
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
    yield f"  {type(error).__name__}"


class Places(logging.Formatter):
    """Log lines whose exceptions are places in the code, without their text."""

    def formatException(self, ei: Any) -> str:
        return "\n".join(_places(ei[1]))


def quieten(verbose: Callable[[], bool]) -> None:
    """Nothing but the program itself writes to standard error, whatever a library or a thread does."""
    logging.getLogger().handlers = [logging.NullHandler()]
    threading.excepthook = lambda failed: _background(failed.exc_value, verbose())
    sys.unraisablehook = lambda failed: _background(failed.exc_value, verbose())


def log_to_stderr() -> None:
    """Show the engine's log; other libraries' logs may hold a peer's text."""
    handler = logging.StreamHandler()
    handler.setFormatter(Places("%(asctime)s %(name)s %(message)s"))
    engine = logging.getLogger("chat")
    engine.handlers, engine.propagate = [handler], False
    engine.setLevel(logging.DEBUG)


def loop_handler(*, verbose: bool) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """asyncio's handler of failures that nobody waits for."""

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        _background(context.get("exception"), verbose)

    return handle


def _background(error: BaseException | None, verbose: bool) -> None:
    """The command goes on, so this is a line beside it, not its end."""
    kind = type(error).__name__ if error is not None else "no exception"
    note(f"An internal error occurred in the background ({kind}): run it with --verbose to see where.")
    if verbose and error is not None:
        for place in _places(error):
            note(place)
