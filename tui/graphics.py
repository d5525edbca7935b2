"""The pictures that the terminal has besides its text, where the person chose kitty's graphics protocol."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from chat.interface import PictureView
from tui.terminal import passed_on
from tui.text.kitty import Placed, forgotten, given, placed


class Graphics:
    """By entry (id), what was written to the terminal, which keeps it until it is asked to forget it."""

    def __init__(self, write: Callable[[str], object], environment: Mapping[str, str]) -> None:
        self._write, self._environment = write, environment
        self._held: dict[str, Placed] = {}

    def show(self, pictures: Mapping[str, PictureView], columns: int, *, more: bool) -> Mapping[str, Placed]:
        """Let the terminal forget what is not among these. Where it is `more`, give it those that it lacks.

        Returns where those that it has are placed, in at most so many columns.
        """
        for entry in self._held.keys() - pictures.keys():
            self._say(forgotten(self._held.pop(entry)))
        if more:
            for entry, picture in pictures.items():
                if entry not in self._held:
                    # Drawn at random: other programs give pictures to the same terminal.
                    place = placed(1 + secrets.randbelow(0xFFFFFF), picture, columns)
                    self._held[entry] = place
                    for part in given(place, picture):
                        self._say(part)
        return dict(self._held)

    def clear(self) -> None:
        """Let the terminal forget all of them: the profile locks, or Parlour ends."""
        self.show({}, 1, more=False)

    def _say(self, sequence: str) -> None:
        self._write(passed_on(sequence, self._environment))
