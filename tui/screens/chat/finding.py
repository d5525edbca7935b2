"""The part of the chat screen that finds: conversations, commands, words in entries, places on the screen.

Rules: what is found is opened by what opens it otherwise; words and hits are kept no longer than this
screen.

Jump mode: a letter at every place of the screen; typing it goes there.

Rules: the screen below stays to be seen; letters are given from the top, the home row first; any other key,
and a click beside the letters, goes nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from textual import events
from textual.app import ComposeResult
from textual.geometry import Offset
from textual.widgets import Static
from textual.worker import WorkerError

from chat.interface import EntryView, Messenger
from tui.actions import APP_WIDE, chat_bindings, composer_bindings, history_bindings, rebind
from tui.attention import Attention
from tui.preferences import Options
from tui.screens.chat.history import Reading
from tui.screens.dialog import Modal
from tui.screens.search import Found, SearchDialog
from tui.text.formatting import NAME_CELLS
from tui.text.translation import _, _n
from tui.widgets.composer import Composer
from tui.widgets.history import History
from tui.widgets.lines import KeyLine
from tui.widgets.people import People

_RECENT_MAX = 50


class Finding(Reading):
    """Switcher, palette, search; and the keys that hold."""

    def __init__(self, messenger: Messenger, options: Options, attention: Attention) -> None:
        super().__init__(messenger, options, attention)
        self.recent: list[str] = []
        self.key_problems: tuple[str, ...] = ()
        self._used: list[str] = []
        self._found: Found | None = None

    def on_mount(self) -> None:
        self.use_keys()
        if self.key_problems:
            self.say(_first(self.key_problems), problem=True)

    def use_keys(self) -> None:
        """Answer to the keys that hold now."""
        rebind(self, chat_bindings())
        rebind(self.query_one(History), history_bindings())
        rebind(self.query_one(Composer), composer_bindings())
        self.query_one(KeyLine).show()

    def remember(self, person: str) -> None:
        """This conversation is open now."""
        self.recent = [person, *(one for one in self.recent if one != person)][:_RECENT_MAX]

    def action_switch(self) -> None:
        from tui.screens.finder import SwitcherDialog, in_order

        ordered = in_order(list(self.contacts.values()), self.recent, self.current)
        self.app.push_screen(SwitcherDialog(ordered, self.named), self._switch)

    def action_palette(self) -> None:
        from tui.screens.finder import PaletteDialog

        self.app.push_screen(PaletteDialog(self._used), self._run)

    def action_search(self) -> None:
        last = self._found
        if last is not None and last.contact not in (None, self.current):
            last = None
        dialog = SearchDialog(self.messenger, self.options, self.current, self._name_of, last)
        self.app.push_screen(dialog, self._go_to)

    def action_jump(self) -> None:

        places = self._places()

        def go(number: int | None) -> None:
            if number is not None:
                places[number][1]()

        self.app.push_screen(JumpScreen([at for at, _do in places]), go)

    def action_stop_writing(self) -> None:
        self.action_choose_entry()

    def action_next_hit(self) -> None:
        self._step_hit(1)

    def action_previous_hit(self) -> None:
        self._step_hit(-1)

    def _places(self) -> list[tuple[Offset, Callable[[], object]]]:
        """Every place to go to, and how: people, entries in sight, the text."""
        people, history = self.query_one(People), self.query_one(History)
        composer = self.query_one(Composer)
        places: list[tuple[Offset, Callable[[], object]]] = []
        if people.region.width:
            at = people.region.offset
            places += [(at + Offset(0, row), partial(people.choose, key)) for row, key in people.in_sight()]
        if self.current is not None:
            at = history.region.offset
            places += [
                (at + Offset(0, row), partial(history.choose, entry)) for row, entry in history.in_sight()
            ]
            places.append((composer.region.offset, composer.focus))
        return places

    def _switch(self, person: str | None) -> None:
        if person is not None and person in self.contacts:
            self.open_conversation(person)

    async def _run(self, name: str | None) -> None:
        if name is not None:
            self._used = [name, *(one for one in self._used if one != name)]
            await self.run_action(f"app.{name}" if name in APP_WIDE else f"screen.{name}")

    def _go_to(self, found: Found | None, said: str = "") -> None:
        """Show the chosen hit, and say something of it there."""
        if found is None or found.chosen is None:
            return
        self._found = found
        self.run_worker(self._go(found.chosen, found.words, said), group="find", exclusive=True)

    def forget_hit(self, entry: str) -> None:
        """An entry was deleted: no search has found it."""
        if self._found is not None:
            self._found = self._found.without(entry)
        for screen in self.app.screen_stack:
            if isinstance(screen, SearchDialog):
                screen.forget(entry)

    def _step_hit(self, by: int) -> None:
        found = self._found
        if found is None or not found.entries:
            self.action_search()
            return
        at = found.at + by
        if 0 <= at < len(found.entries):
            said = _("Result {number} of {all}.").format(number=at + 1, all=len(found.entries))
            self._go_to(replace(found, at=at), said)
        else:
            self.say(_("No older results.") if by > 0 else _("No newer results."))

    async def _go(self, entry: EntryView, words: str, said: str) -> None:
        """Show an entry in its conversation, opened first where another one is."""
        if entry.contact not in self.contacts:
            self.say(_("This contact was removed."))
            return
        if entry.contact != self.current:
            self.open_conversation(entry.contact)
            try:
                await self.workers.wait_for_complete([one for one in self.workers if one.group == "open"])
            except WorkerError:
                return  # another conversation was opened meanwhile
        if said:
            self.say(said)
        self.jump_to(entry.id, words.split())

    def _name_of(self, person: str) -> str:
        view = self.contacts.get(person)
        return self.named(view, NAME_CELLS) if view is not None else _("(removed)")


def _first(problems: tuple[str, ...]) -> str:
    """The first problem, and how many more there are."""
    more = len(problems) - 1
    text = _n("{problem} (and {number} more)", "{problem} (and {number} more)", more)
    return text.format(problem=problems[0], number=more) if more else problems[0]


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
