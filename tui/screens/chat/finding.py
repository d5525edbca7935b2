"""Finding: conversations, commands, words in entries, and jump mode, a letter at each place of the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace
from textual import events
from textual.app import ComposeResult
from textual.geometry import Offset
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.worker import WorkerError

from chat.interface import EntryView, Messenger, Term
from tui.preferences import Options
from tui.screens.chat.history import HistoryController
from tui.screens.chat.surface import ChatState, Surface
from tui.screens.dialog import Closer
from tui.screens.finder import PaletteDialog, SwitcherDialog, in_order
from tui.screens.search import Found, SearchDialog
from tui.text.translation import _
from tui.widgets.composer import Composer
from tui.widgets.history import History
from tui.widgets.people import People

_RECENT_MAX = 50


@dataclass(repr=False)
class FindingController:
    """Opens the switcher, the palette, the search and jump mode. `open_conversation` takes a person id."""

    messenger: Messenger
    state: ChatState
    surface: Surface
    options: Options
    history: HistoryController
    panes: tuple[People, History, Composer]
    open_conversation: Callable[[str], object]
    recent: list[str] = field(init=False, default_factory=list)
    _used: list[str] = field(init=False, default_factory=list)
    _found: Found | None = field(init=False, default=None)

    def opened(self, person: str) -> None:
        self.recent = [person, *(one for one in self.recent if one != person)][:_RECENT_MAX]

    def switch(self) -> None:
        ordered = in_order(list(self.state.talks.values()), self.recent, self.state.current)
        self.surface.choose(SwitcherDialog(ordered, self.state.named), self._switch)

    def palette(self) -> None:
        self.surface.choose(PaletteDialog(self._used), self._run)

    def search(self) -> None:
        last = self._found
        if last is not None and last.contact not in (None, self.state.current):
            last = None
        dialog = SearchDialog(self.messenger, self.options, self.state.current, self._name_of, last)
        self.surface.choose(dialog, self._go_to)

    def jump(self) -> None:
        places = self._places()
        self.surface.choose(JumpScreen([at for at, _do in places]), lambda number: places[number][1]())

    def _places(self) -> list[tuple[Offset, Callable[[], object]]]:
        """Every place to go to, and how: people, entries in sight, the text."""
        people, history, composer = self.panes
        places: list[tuple[Offset, Callable[[], object]]] = []
        if people.region.width:
            at = people.region.offset
            places += [(at + Offset(0, row), partial(people.choose, key)) for row, key in people.in_sight()]
        if self.state.current is not None:
            at = history.region.offset
            places += [
                (at + Offset(0, row), partial(history.choose, entry)) for row, entry in history.in_sight()
            ]
            places.append((composer.region.offset, composer.focus))
        return places

    def _switch(self, person: str) -> None:
        if self.state.talk(person) is not None:
            self.open_conversation(person)

    async def _run(self, name: str) -> None:
        self._used = [name, *(one for one in self._used if one != name)]
        await self.surface.act(name)

    def _go_to(self, found: Found, said: str = "") -> None:
        """Show the chosen hit, and say something of it there."""
        if found.chosen is not None:
            self._found = found
            self.surface.run("find", self._go, found.chosen, found.terms, said, exclusive=True)

    def entry_deleted(self, entry: str) -> None:
        if self._found is not None:
            self._found = self._found.without(entry)
        for dialog in self.surface.dialogs(SearchDialog):
            dialog.forget(entry)

    def step_hit(self, by: int) -> None:
        """Go to an older hit of the last search, or a newer one for a negative number."""
        found = self._found
        if found is None or not found.entries:
            self.search()
            return
        at = found.at + by
        if 0 <= at < len(found.entries):
            said = _("Result {number} of {all}.").format(number=at + 1, all=len(found.entries))
            self._go_to(replace(found, at=at), said)
        else:
            self.surface.say(_("No older results.") if by > 0 else _("No newer results."))

    async def _go(self, entry: EntryView, terms: tuple[Term, ...], said: str) -> None:
        """Show an entry in its conversation, opened first where another one is."""
        if self.state.talk(entry.contact) is None:
            self.surface.say(_("This contact was removed."))
            return
        if entry.contact != self.state.current:
            self.open_conversation(entry.contact)
            try:
                await self.surface.finished("open")
            except WorkerError:
                return  # another conversation was opened meanwhile
        if said:
            self.surface.say(said)
        self.history.jump_to(entry.id, terms)

    def _name_of(self, person: str) -> str:
        view = self.state.talk(person)
        return self.state.named(view) if view is not None else _("(removed)")


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


class JumpScreen(ModalScreen[int | None]):
    CSS_PATH = "jump.tcss"

    def __init__(self, places: Sequence[Offset]) -> None:
        super().__init__()
        self._places = places[: len(LETTERS)]
        self._closer = Closer[int](self)

    def on_screen_resume(self) -> None:
        self._closer.resume()

    def compose(self) -> ComposeResult:
        for number, at in enumerate(self._places):
            yield Letter(number, at, self._closer.end)
        yield Static(_("Type a letter to go there, Esc to stay"), id="how", markup=False)

    def on_key(self, event: events.Key) -> None:
        event.stop()
        number = LETTERS.find(event.character) if event.character else -1
        self._closer.end(number if 0 <= number < len(self._places) else None)

    def on_click(self, event: events.Click) -> None:
        self._closer.end(None)
