"""The command palette: everything Parlour can do, from the registry, by a part of its name.

Rules: not Textual's palette, whose commands write the screen to a file; what it runs is what the key runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.content import Content
from textual.widgets.option_list import Option

from tui.actions import ACTIONS, Action
from tui.formatting import shorten, widest
from tui.matching import Match, best, match
from tui.screens.finder import LINES_MAX, Finder, fitted, marked
from tui.texts import N_, _

_KEY_CELLS = 12
_NOT_OFFERED = frozenset(("palette", "stop_writing"))


class PaletteDialog(Finder[str]):
    """The id of the chosen action."""

    opener = "palette"
    heading: ClassVar[str] = N_("Commands")
    placeholder: ClassVar[str] = N_("What to do")
    hints: ClassVar[tuple[tuple[str, str], ...]] = (
        ("↑ ↓", N_("Choose")),
        ("enter", N_("Do it")),
        ("escape", N_("Close")),
    )

    def __init__(self, recent: Sequence[str] = ()) -> None:
        super().__init__()
        first = {name: at for at, name in enumerate(recent)}
        offered = [one for one in ACTIONS if one.id not in _NOT_OFFERED]
        self._offered = sorted(offered, key=lambda one: first.get(one.id, len(first)))

    def lines(self, typed: str) -> Sequence[Option]:
        found = best(self._offered, lambda one: _fits(typed, one), LINES_MAX)
        return [Option(fitted(_line(one, how), self.cells), id=one.id) for one, how in found]

    def nothing(self) -> str:
        return _("Nothing that Parlour does is called like that.")

    def take(self, line: str) -> None:
        self.end(line)


def _fits(typed: str, one: Action) -> Match | None:
    return match(typed, f"{one.title}  {one.about}", len(one.title))


def _line(one: Action, how: Match) -> Content:
    key = shorten(one.key, _KEY_CELLS - 1)
    pad = " " * (_KEY_CELLS - widest(key))
    title, at = one.title, len(one.title) + 2
    spans = [(max(0, start - at), end - at) for start, end in how.spans if end > at]
    return Content.assemble(
        (f" {key}{pad}", "bold $primary"),
        marked(title, tuple((a, min(b, len(title))) for a, b in how.spans if a < len(title)), "bold"),
        "  ",
        marked(one.about, tuple(spans), "$quiet"),
    )
