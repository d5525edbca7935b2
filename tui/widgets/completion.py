"""The list of emoji over a shortcode that is being typed.

Rules: it never has the focus, because one goes on typing; it stands above the composer, so that it hides
nothing of what is written, and always on the screen; a click takes what it is on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.geometry import Offset
from textual.widgets import Static

from tui.emoji import Choice
from tui.formatting import shorten, with_room
from tui.messages import TakeChoice

_PICTURE: Final = 4  # columns, with the blanks around it, whatever width a terminal gives to it
_COLUMNS: Final = 34
_CHOSEN: Final = "bold reverse"


class Completion(Static):
    """Up to six emoji with their names, one of them chosen."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__("", id="completion", markup=False)
        self.display = False
        self._choices: Sequence[Choice] = ()

    def show(self, choices: Sequence[Choice], chosen: int, over: Offset) -> None:
        """Show these, above a place of the screen; nothing to show hides it."""
        self._choices = choices
        self.display = bool(choices)
        if choices:
            self.update(Content("\n").join(_line(one, at == chosen) for at, one in enumerate(choices)))
            self.absolute_offset = Offset(max(0, over.x - 1), max(0, over.y - len(choices)))

    def on_click(self, event: events.Click) -> None:
        event.stop()
        if event.y < len(self._choices):
            self.post_message(TakeChoice(self._choices[event.y]))


def pictured(choice: Choice) -> str:
    """An emoji in its columns, and its name."""
    picture = with_room(f" {choice.emoji[0]}")
    return picture.ljust(_PICTURE - cell_len(picture) + len(picture)) + f":{choice.name}:"


def _line(choice: Choice, chosen: bool) -> Content:
    line = Content(shorten(pictured(choice), _COLUMNS - 1))
    return line.pad_right(_COLUMNS - cell_len(line.plain)).stylize(_CHOSEN if chosen else "")
