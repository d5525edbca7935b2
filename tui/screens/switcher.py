"""The conversation switcher: type a part of a name, Enter opens the conversation.

Rules: unread conversations come first, then those that were open last; the one that is open comes last,
so that the key and Enter go to the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.content import Content
from textual.widgets.option_list import Option

from chat.interface import ContactView
from tui.matching import Match, best, match
from tui.screens.finder import LINES_MAX, Finder, fitted, marked
from tui.texts import N_, _, _n

_NAME_CELLS = 40


class SwitcherDialog(Finder[str]):
    """The person of the chosen conversation."""

    opener = "switch"
    heading: ClassVar[str] = N_("Go to a conversation")
    placeholder: ClassVar[str] = N_("A part of a name")
    hints: ClassVar[tuple[tuple[str, str], ...]] = (
        ("↑ ↓", N_("Choose")),
        ("enter", N_("Open")),
        ("escape", N_("Close")),
    )

    def __init__(self, contacts: Sequence[ContactView], named: Callable[[ContactView, int], str]) -> None:
        super().__init__()
        self._named = [(view, named(view, _NAME_CELLS)) for view in contacts]

    def lines(self, typed: str) -> Sequence[Option]:
        found = best(self._named, lambda pair: match(typed, pair[1]), LINES_MAX)
        return [Option(fitted(_line(*pair, how), self.cells), id=pair[0].person) for pair, how in found]

    def nothing(self) -> str:
        return _("Nobody is called like that.") if self._named else _("There are no contacts yet.")

    def take(self, line: str) -> None:
        self.end(line)


def in_order(
    contacts: Sequence[ContactView], recent: Sequence[str], current: str | None
) -> list[ContactView]:
    """Unread ones first, then those that were open last, then by name; the open one last."""
    age = {person: at for at, person in enumerate(recent)}

    def place(view: ContactView) -> tuple[bool, bool, int]:
        unread = view.unread > 0 and not view.blocked
        return view.person == current, not unread, age.get(view.person, len(age))

    return sorted(contacts, key=place)


def _line(view: ContactView, name: str, how: Match) -> Content:
    parts = [_presence(view), marked(name, how.spans)]
    if view.verified:
        parts.append(Content.assemble((" ✓", "$success")))
    if view.held:
        parts.append(Content.assemble((" !", "$error")))
    if view.unread and not view.blocked:
        new = _n("{number} new", "{number} new", view.unread).format(number=view.unread)
        parts.append(Content.assemble((f"   {new}", "bold $accent")))
    return Content("").join(parts)


def _presence(view: ContactView) -> Content:
    if view.blocked:
        return Content.assemble((" ⊘ ", "$error"))
    return Content.assemble((" ● ", "$success") if view.present else (" ○ ", "$quiet"))
