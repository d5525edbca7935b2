"""Jump mode: a letter at every place of the screen; typing it goes there.

Rules: the screen below stays to be seen; letters are given from the top, the home row first; any other key,
and a click beside the letters, goes nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events
from textual.app import ComposeResult
from textual.geometry import Offset
from textual.widgets import Static

from tui.screens.dialog import Modal

LETTERS = "asdfghjklqwertyuiopzxcvbnm1234567890ASDFGHJKLQWERTYUIOPZXCVBNM"


class Letter(Static):
    """The letter of one place; a click on it chooses the place."""

    def __init__(self, number: int, at: Offset, choose: Callable[[int], None]) -> None:
        super().__init__(f" {LETTERS[number]} ", markup=False)
        self._number = number
        self._choose = choose
        self.styles.offset = (at.x, at.y)

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self._choose(self._number)


class JumpScreen(Modal[int]):
    """The number of the chosen place among `places`, given in cells of the screen."""

    CSS_PATH = "jump.tcss"

    def __init__(self, places: Sequence[Offset]) -> None:
        super().__init__()
        self._places = places[: len(LETTERS)]

    def compose(self) -> ComposeResult:
        for number, at in enumerate(self._places):
            yield Letter(number, at, self.end)

    def on_key(self, event: events.Key) -> None:
        event.stop()
        number = LETTERS.find(event.character) if event.character else -1
        self.end(number if 0 <= number < len(self._places) else None)

    def on_click(self, event: events.Click) -> None:
        self.end(None)
