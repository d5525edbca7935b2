"""Keeps what a terminal answers to other programs apart from what is typed.

A program that ran here before, or tmux, asks for colours, versions or the clipboard, and the answer comes
when Parlour reads the keyboard. Textual would type it into the field that has the focus.

An answer is a control string (ECMA-48, 5.6: ESC, an introducer, a text, ST) or a control sequence (5.4) that
is no key. Alt with `]` begins like a string: only what follows at once, as one answer does, makes it one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from string import digits
from typing import Final

ESCAPE: Final = "\x1b"
_BEGIN: Final = f"{ESCAPE}["

QUIET: Final = 1.0
"""Seconds without a byte after which nothing more of an answer comes."""

SEQUENCE_MAX: Final = 256
"""Characters of a control sequence. The terminal fills it."""

_STARTS: Final = {"]": {*digits, "l", "L"}, "P": {*digits, *">!$+"}, "_": {"G"}}
"""With which character each kind of string begins: OSC of xterm, DCS, APC of kitty."""

_BELL: Final = "\a"
_ABORTS: Final = ("\x18", "\x1a")
_FIRST_FINAL, _LAST_FINAL = "@", "~"
_MOUSE_FIELDS: Final = 3


class _State(Enum):
    KEYS = "keys"
    ESCAPE = "escape"
    INTRODUCED = "introduced"  # a string, if it goes on as one
    STRING = "string"
    STRING_ESCAPE = "string-escape"
    BEGUN = "begun"  # a sequence of which everything was passed on
    SEQUENCE = "sequence"
    RAW = "raw"  # characters that belong to what was passed on


_UNDECIDED: Final = (_State.ESCAPE, _State.INTRODUCED, _State.BEGUN)
_HELD: Final = (_State.STRING, _State.STRING_ESCAPE, _State.SEQUENCE)


class Answers:
    """Reads the input once, piece by piece. `is_key` says whether a whole control sequence means anything."""

    def __init__(self, is_key: Callable[[str], bool]) -> None:
        self._is_key = is_key
        self._state = _State.KEYS
        self._introducer = ""
        self._sequence = ""
        self._raw = 0

    @property
    def holds(self) -> bool:
        """Whether something was begun of which nothing is to be known yet."""
        return self._state in _HELD

    def too_late(self) -> None:
        """What was passed on and undecided was taken for keys meanwhile."""
        if self._state in _UNDECIDED:
            self._state = _State.KEYS

    def give_up(self) -> None:
        """The rest of an answer does not come."""
        if self.holds:
            self._state = _State.KEYS

    def keys_of(self, data: str) -> Iterator[str | None]:
        """What of the input may be keys; None: forget what was passed on last and has no end."""
        passed = ""
        while data:
            if self._state is _State.KEYS:
                keys, begin, data = data.partition(ESCAPE)
                passed += keys + begin
                if begin:
                    self._state = _State.ESCAPE
                continue
            forget, more = self._next(data[0])
            data = data[1:]
            if forget:
                if passed:
                    yield passed
                yield None
                passed = ""
            passed += more
        if passed:
            yield passed

    def _next(self, character: str) -> tuple[bool, str]:
        """Whether to forget what was passed on and has no end, and what is passed on now."""
        match self._state:
            case _State.STRING:
                return False, self._in_string(character)
            case _State.STRING_ESCAPE if character == "\\":
                self._state = _State.KEYS
                return False, ""
            case _State.STRING_ESCAPE:  # another sequence begins
                self._state = _State.ESCAPE
                forget, more = self._next(character)
                return forget, more if forget else ESCAPE + more
            case _State.SEQUENCE:
                return self._in_sequence(character)
        return self._in_passed(character)

    def _in_passed(self, character: str) -> tuple[bool, str]:
        state, self._state = self._state, _State.KEYS
        if character == ESCAPE:
            self._state = _State.ESCAPE
        elif state is _State.RAW:
            self._raw -= 1
            self._state = _State.RAW if self._raw else _State.KEYS
        elif state is _State.ESCAPE and character == "[":
            self._state = _State.BEGUN
        elif state is _State.ESCAPE and character in _STARTS:
            self._state, self._introducer = _State.INTRODUCED, character
        elif state is _State.INTRODUCED and character in _STARTS[self._introducer]:
            self._state = _State.STRING
            return True, ""
        elif state is _State.BEGUN:
            return self._begun(character)
        return False, character

    def _begun(self, character: str) -> tuple[bool, str]:
        if character in ("M", "["):  # the mouse in the form of X10; a function key of the Linux console
            self._state, self._raw = _State.RAW, _MOUSE_FIELDS if character == "M" else 1
        elif " " <= character < _FIRST_FINAL:
            self._state, self._sequence = _State.SEQUENCE, character
            return False, ""
        elif _FIRST_FINAL <= character <= _LAST_FINAL and not self._is_key(_BEGIN + character):
            return True, ""
        return False, character

    def _in_sequence(self, character: str) -> tuple[bool, str]:
        if not " " <= character <= _LAST_FINAL:  # it has no end: what comes is a key
            self._state = _State.ESCAPE if character == ESCAPE else _State.KEYS
            return True, character
        self._sequence += character
        if self._is_key(_BEGIN + self._sequence):
            self._state = _State.KEYS
            return False, self._sequence
        if character >= _FIRST_FINAL or len(self._sequence) >= SEQUENCE_MAX:
            self._state = _State.KEYS
            return True, ""
        return False, ""

    def _in_string(self, character: str) -> str:
        if character == ESCAPE:
            self._state = _State.STRING_ESCAPE
        elif character < " ":
            self._state = _State.KEYS
            if character != _BELL and character not in _ABORTS:
                return character  # in no answer: its rest does not come, and this is a key
        return ""
