"""What was typed last, as far as it says what the next key means, and the pause that an answer needs.

A letter runs a command where no text field has the focus. Who believes to write there types a whole word: its
first letter may open a question, and the next one would answer it.
"""

from __future__ import annotations

from typing import Final

from textual import _time, events

from tui.actions import types_a_letter

RUN_MAX: Final = 1024
"""Characters since the last Enter that are remembered."""


def is_letter(event: events.Event) -> bool:
    """Whether a key may be part of a word. With Alt too: Esc and a letter at once look the same."""
    return isinstance(event, events.Key) and types_a_letter(event.key.removeprefix("alt+"))


class Typed:
    """`quiet`: seconds without a key after which a key is an answer. `keeps`: remember what is typed."""

    def __init__(self, quiet: float) -> None:
        self.quiet = quiet
        self.keeps = False
        self.letter = False
        self.run = self.line = ""
        """What was typed since the last Enter, wherever it went; what the last Enter ended."""

    def note(self, event: events.Event) -> None:
        """Take in a key before anything acts on it. The mouse ends a word too."""
        self.letter = is_letter(event)
        if not isinstance(event, events.Key) or not self.keeps:
            return
        if event.key in ("enter", "escape"):
            self.line, self.run = self.run, ""
        elif event.key == "backspace":
            self.run = self.run[:-1]
        elif event.is_printable and event.character:
            self.run = (self.run + event.character)[-RUN_MAX:]

    def forget(self) -> None:
        """Remember nothing any more."""
        self.keeps, self.run, self.line = False, "", ""


class Pause:
    """Whether typing has paused for so many seconds. A key that was typed before this began never counts."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._last = _time.get_time()
        self.over = False

    def passed(self, event: events.Event) -> bool:
        """Take in a key; whether it comes after the pause."""
        if not self.over:
            self.over = event.time >= self._last + self.seconds
            self._last = max(self._last, event.time)
        return self.over
