"""The emoji chooser: a part of a name, Enter puts the emoji into the text.

Rules: without a word typed it offers those that were taken last, then those that people know; names are those
of shortcodes in the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.content import Content
from textual.widgets.option_list import Option

from tui.emoji import familiar, matching
from tui.screens.finder import LINES_MAX, Finder, fitted
from tui.texts import N_, _
from tui.widgets.completion import pictured


class EmojiDialog(Finder[str]):
    """The name of the chosen emoji. `recent` are names that were chosen before, the newest first."""

    opener = "emoji"
    heading: ClassVar[str] = N_("Emoji")
    placeholder: ClassVar[str] = N_("A part of the English name")
    hints: ClassVar[tuple[tuple[str, str], ...]] = (
        ("↑ ↓", N_("Choose")),
        ("enter", N_("Put it into the text")),
        ("escape", N_("Close")),
    )

    def __init__(self, recent: Sequence[str] = ()) -> None:
        super().__init__()
        self._recent = recent

    def lines(self, typed: str) -> Sequence[Option]:
        name = "_".join(typed.strip(": \uff1a").split())
        found = matching(name, LINES_MAX) if name else familiar(self._recent)
        return [Option(fitted(Content(pictured(one)), self.cells), id=one.name) for one in found]

    def nothing(self) -> str:
        return _("No emoji is called like that.")

    def take(self, line: str) -> None:
        self.end(line)
