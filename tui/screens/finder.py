"""The dialogs that find by typing: a field, and below it the lines that match."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar, cast

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from chat.interface import ContactView
from tui.actions import ACTIONS, Action, add_keys, keys_of
from tui.screens.dialog import CSSPath, Dialog, plain
from tui.text.emoji import familiar, matching
from tui.text.matching import Match, Spans, best, match
from tui.text.safe import shorten, widest
from tui.text.translation import N_, _, _n
from tui.widgets.composer import pictured
from tui.widgets.controls import Field
from tui.widgets.listed import Listed

T = TypeVar("T")
LINES_MAX = 200
HIT = "bold $accent"
_COLUMNS, _BESIDE = 90, 9  # of the box; border, padding, scroll bar and a column before it


class Lines(Listed, can_focus=False):
    """The lines that fit; the finder moves its cursor."""


class Finder(Dialog[T]):
    """Subclasses give `lines`, `take` and what says that there is `nothing`.

    `opener` is the action whose key opened it, and asks `again`.
    """

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "finder.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,ctrl+p", "move('cursor_up')", priority=True, show=False),
        Binding("down,ctrl+n", "move('cursor_down')", priority=True, show=False),
        Binding("pageup", "move('page_up')", priority=True, show=False),
        Binding("pagedown", "move('page_down')", priority=True, show=False),
        Binding("ctrl+home", "move('first')", priority=True, show=False),
        Binding("ctrl+end", "move('last')", priority=True, show=False),
    ]
    ASKS = False  # it finds what is typed, and Enter takes it
    opener: ClassVar[str] = ""
    placeholder: ClassVar[str] = ""
    none: ClassVar[str] = ""

    def __init__(self, typed: str = "") -> None:
        super().__init__()
        self._typed = typed
        add_keys(self, keys_of(self.opener), "again")

    def body(self) -> list[Widget]:
        nothing = plain("", id="nothing", classes="quiet")
        nothing.display = False
        field = Field(id="typed", value=self._typed, placeholder=_(self.placeholder), max_length=200)
        return [field, nothing, Lines(id="lines", markup=False, compact=True)]

    @property
    def typed(self) -> str:
        return self.query_one("#typed", Field).value

    @property
    def cells(self) -> int:
        return max(10, min(_COLUMNS, self.app.size.width * 96 // 100) - _BESIDE)

    def lines(self, typed: str) -> Sequence[Option]:
        return ()

    def take(self, line: str) -> None:
        """The line of this id was chosen, which is the result unless a subclass has another."""
        self.end(cast("T", line))

    def nothing(self) -> str:
        return _(self.none)

    def draw(self) -> None:
        self.show_lines(self.lines(self.typed))

    def show_lines(self, lines: Sequence[Option], chosen: int = 0) -> None:
        shown = self.query_one(Lines)
        shown.set_options(lines)
        shown.highlighted = min(chosen, len(lines) - 1) if lines else None
        words = self.query_one("#nothing", Static)
        words.display = not lines
        if not lines:
            words.update(Content(self.nothing()))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        option = self.query_one(Lines).highlighted_option
        if option is not None and option.id is not None:
            self.take(option.id)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_id is not None:
            self.take(event.option_id)

    async def action_move(self, how: str) -> None:
        await self.query_one(Lines).run_action(how)

    def action_again(self) -> None:
        """The key that opened this was pressed again: the next line."""
        self.query_one(Lines).action_cursor_down()


def marked(text: str, spans: Spans, style: str = "", hit: str = HIT) -> Content:
    parts: list[tuple[str, str]] = []
    at = 0
    for start, end in spans:
        parts += [(text[at:start], style), (text[start:end], hit)]
        at = end
    return Content.assemble(*parts, (text[at:], style))


def fitted(line: Content, cells: int) -> Content:
    """A line of exactly `cells` columns, so that the cursor's ground reaches to its end."""
    return line.truncate(cells, ellipsis=True)


class EmojiDialog(Finder[str]):
    """The name of the chosen emoji. `recent` are names that were chosen before, the newest first."""

    opener = "emoji"
    heading = N_("Emoji")
    placeholder = N_("Part of the name")
    none = N_("No matching emoji.")
    hints = (("↑ ↓", N_("Select")), ("enter", N_("Insert")), ("escape", N_("Close")))

    def __init__(self, recent: Sequence[str] = ()) -> None:
        super().__init__()
        self._recent = recent

    def lines(self, typed: str) -> Sequence[Option]:
        name = "_".join(typed.strip(": \uff1a").split())
        found = matching(name, LINES_MAX) if name else familiar(self._recent)
        return [Option(fitted(Content(pictured(one)), self.cells), id=one.name) for one in found]


_KEY_CELLS = 12
_BY_NAME = 99  # after all that is found by what is shown
_NOT_OFFERED = frozenset(("palette", "stop_writing"))


class PaletteDialog(Finder[str]):
    opener = "palette"
    heading = N_("Commands")
    placeholder = N_("Type a command")
    none = N_("No matching command.")
    hints = (("↑ ↓", N_("Select")), ("enter", N_("Run")), ("escape", N_("Close")))

    def __init__(self, recent: Sequence[str] = ()) -> None:
        super().__init__()
        first = {name: at for at, name in enumerate(recent)}
        offered = [one for one in ACTIONS if one.id not in _NOT_OFFERED]
        self._offered = sorted(offered, key=lambda one: first.get(one.id, len(first)))

    def lines(self, typed: str) -> Sequence[Option]:
        def fits(one: Action) -> Match | None:
            how = match(typed, f"{one.title}  {one.about}", len(one.title))
            # The name after a slash, which is English in every language.
            named = bool(typed.strip()) and one.id.startswith(typed.strip().casefold())
            return how or (Match(_BY_NAME) if named else None)

        found = best(self._offered, fits, LINES_MAX)
        return [Option(fitted(_palette_line(one, how), self.cells), id=one.id) for one, how in found]


def _palette_line(one: Action, how: Match) -> Content:
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


_NAME_CELLS = 40


class SwitcherDialog(Finder[str]):
    opener = "switch"
    heading = N_("Go to a conversation")
    placeholder = N_("Part of a name")
    hints = (("↑ ↓", N_("Select")), ("enter", N_("Open")), ("escape", N_("Close")))

    def __init__(self, contacts: Sequence[ContactView], named: Callable[[ContactView, int], str]) -> None:
        super().__init__()
        self._named = [(view, named(view, _NAME_CELLS)) for view in contacts]

    def lines(self, typed: str) -> Sequence[Option]:
        found = best(self._named, lambda pair: match(typed, pair[1]), LINES_MAX)
        return [
            Option(fitted(_switcher_line(*pair, how), self.cells), id=pair[0].person) for pair, how in found
        ]

    def nothing(self) -> str:
        return _("No matching contact.") if self._named else _("No contacts yet.")


def in_order(
    contacts: Sequence[ContactView], recent: Sequence[str], current: str | None
) -> list[ContactView]:
    """Unread ones first, but for muted ones; then those open last, then by name; the open one last."""
    age = {person: at for at, person in enumerate(recent)}

    def place(view: ContactView) -> tuple[bool, bool, int]:
        unread = view.unread > 0 and not (view.blocked or view.muted)
        return view.person == current, not unread, age.get(view.person, len(age))

    return sorted(contacts, key=place)


def _switcher_line(view: ContactView, name: str, how: Match) -> Content:
    parts = [_presence(view), marked(name, how.spans)]
    if view.bot:
        parts.append(Content.assemble((" " + _("bot"), "$quiet")))
    if view.verified:
        parts.append(Content.assemble((" ✓", "$success")))
    if view.held:
        parts.append(Content.assemble((" !", "$error")))
    if view.pinned:
        parts.append(Content.assemble((" ↑", "$quiet")))
    if view.muted:
        parts.append(Content.assemble((" z", "$quiet")))
    if view.unread and not view.blocked:
        new = _n("{number} new", "{number} new", view.unread).format(number=view.unread)
        parts.append(Content.assemble((f"   {new}", "$quiet" if view.muted else "bold $accent")))
    return Content("").join(parts)


def _presence(view: ContactView) -> Content:
    if view.notes:
        return Content.assemble((" ≡ ", "$quiet"))
    if view.blocked:
        return Content.assemble((" ⊘ ", "$error"))
    return Content.assemble((" ● ", "$success") if view.present else (" ○ ", "$quiet"))
