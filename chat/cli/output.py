"""What the program says: results on standard output, everything else on standard error.

Rules: a peer's text reaches a terminal only through `one_line` or `block`; with --json a result is one
line of ASCII with stable fields; a failure is one line; times are UTC, ISO 8601.
"""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, TextIO

import click

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
