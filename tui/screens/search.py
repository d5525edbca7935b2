"""Search in one conversation or in all; Enter goes to the hit."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

from msgspec import Struct
from msgspec.structs import replace
from textual.content import Content
from textual.widgets.option_list import Option

from chat.interface import EntryView, Messenger, Term, parse_query, pattern
from tui.actions import keys_of
from tui.messages import Problem, attempt, start_worker
from tui.preferences import Options
from tui.screens.finder import Finder
from tui.text.formatting import claim, clock_time, day_of, day_title, file_line, unsearched
from tui.text.matching import excerpt
from tui.text.translation import N_, _, _n

HITS_MAX = 100
_INDENT = "   "
_STYLES = {
    "hit": "bold $background on $accent",
    "bold": "bold",
    "italic": "italic",
    "struck": "strike",
    "code": "$accent on $panel",
    "block": "$accent on $panel",
    "link": "underline $primary",
    "quote": "$quiet",
}
"""As the conversation shows them."""


class Found(Struct, frozen=True):
    """A search and its hits, the newest first; `contact` is None where it was in all conversations.

    `at` is the hit that was chosen, -1 where none was. `advice`: why what was typed cannot be searched.
    """

    words: str
    contact: str | None
    entries: tuple[EntryView, ...] = ()
    terms: tuple[Term, ...] = ()
    advice: str = ""
    at: int = -1

    @property
    def chosen(self) -> EntryView | None:
        return self.entries[self.at] if 0 <= self.at < len(self.entries) else None

    def without(self, entry: str) -> Found:
        """The same without a hit, which was deleted; the one that was chosen stays chosen."""
        at = next((at for at, hit in enumerate(self.entries) if hit.id == entry), len(self.entries))
        kept = self.entries[:at] + self.entries[at + 1 :]
        return replace(self, entries=kept, at=self.at - (at <= self.at))


class SearchDialog(Finder[Found]):
    """What was found, with the hit that was chosen. `person` is whose conversation is open, if one is."""

    KEPT, LEFT_FIRST = ("typed",), True
    opener = "search"
    COMMANDS_WAIT_FOR = frozenset(("search",))
    placeholder = N_('Words, "a phrase", from:NAME, in:NAME, after:2026-11, before:2026')

    def __init__(
        self,
        messenger: Messenger,
        options: Options,
        person: str | None,
        named: Callable[[str], str],
        last: Found | None = None,
    ) -> None:
        super().__init__(last.words if last else "")
        self._messenger = messenger
        self._options = options
        self._person = person
        self._named = named
        self._shown = last or Found("", person)
        self._scope = self._shown.contact if self._shown.contact == person else None
        self._busy = False

    def on_mount(self) -> None:
        self._show_scope()

    def draw(self) -> None:
        """Show what is known, and search for what is typed by now."""
        if (self._shown.words, self._shown.contact) == self._wanted:
            self._show_hits()
        elif not self._busy:
            self._busy = True
            start_worker(self, "search", self._search)

    def nothing(self) -> str:
        if not self._shown.words.strip():
            words = _("The start of a word is enough. Quotes find a whole word or phrase.")
            others = _("from:NAME, from:me, in:NAME, before:2026 and after:2026-11 narrow it.")
            return f"{words}\n{others}"
        return self._shown.advice or _("No messages found.")

    def take(self, line: str) -> None:
        self.end(replace(self._shown, at=int(line)))

    def action_again(self) -> None:
        if self._person is not None:
            self._scope = None if self._scope is not None else self._person
            self._show_scope()
            self.draw()

    def forget(self, entry: str) -> None:
        self._shown = self._shown.without(entry)
        self._show_hits()

    @property
    def _wanted(self) -> tuple[str, str | None]:
        return self.typed.lstrip(), self._scope

    async def _search(self) -> None:
        try:
            while (wanted := self._wanted) != (self._shown.words, self._shown.contact):
                words, contact = wanted
                answer = await attempt(self._messenger.search(words, contact, HITS_MAX, typing=True))
                if isinstance(answer, Problem):
                    self._shown = Found(words, contact, advice=answer.text if answer.usage else "")
                    self.fail("" if answer.usage else answer.text)
                else:
                    terms = parse_query(words, typing=True).terms
                    advice = await self._unsearched() if words.strip() and not answer else ""
                    self._shown = Found(words, contact, answer[::-1], terms, advice)
                    self.fail("")
        finally:
            self._busy = False
        if self.is_attached:
            self._show_hits()

    async def _unsearched(self) -> str:
        kept = await attempt(self._messenger.retention())
        elsewhere = 0 if isinstance(kept, Problem) else kept.elsewhere
        return f"{_('No messages found.')}\n{unsearched(elsewhere)}" if elsewhere else ""

    def _show_hits(self) -> None:
        shown, cells, today = self._shown, self.cells, self._options.today()
        wanted = pattern(shown.terms)
        lines = [
            Option(
                Content("\n").join([self._head(entry, today), _around(_said(entry), wanted, cells)]),
                id=str(at),
            )
            for at, entry in enumerate(shown.entries)
        ]
        self.show_lines(lines, max(0, shown.at))
        self.query_one("#box").border_subtitle = (
            _count(len(shown.entries)) if shown.words.strip() and not shown.advice else ""
        )

    def _head(self, entry: EntryView, today: date) -> Content:
        name = self._named(entry.contact)
        day = day_title(day_of(entry.time, self._options.zone), today)
        when = f"   {day} {clock_time(entry.time, self._options.zone)}"
        if not entry.own:
            mark = f" ({claim(entry)})" if entry.claimed else ""
            return Content.assemble((f" {name}", "bold $theirs"), (mark, "$warning"), (when, "$quiet"))
        said = _("You to {name}").format(name=name) if self._shown.contact is None else _("You")
        return Content.assemble((f" {said}", "bold $own"), (when, "$quiet"))

    def _show_scope(self) -> None:
        box = self.query_one("#box")
        if self._scope is None:
            box.border_title = _("Search in all conversations")
            other = _("This conversation")
        else:
            name = self._named(self._scope)
            box.border_title = _("Search in the conversation with {name}").format(name=name)
            other = _("All conversations")
        again = [(key, other) for key in keys_of(self.opener)[:1]] if self._person is not None else []
        self.set_hints((("↑ ↓", _("Select")), ("enter", _("Go there")), *again, ("escape", _("Close"))))


def _said(entry: EntryView) -> str:
    """What is searched of an entry: its text, or the name of its file after those of its folders."""
    return file_line(entry.file) if entry.file is not None else entry.text


def _around(text: str, wanted: re.Pattern[str] | None, cells: int) -> Content:
    spans = excerpt(text, wanted, cells - len(_INDENT) - 1)
    return Content.assemble(_INDENT, *((part, _STYLES.get(style, "")) for style, part in spans))


def _count(hits: int) -> str:
    if hits >= HITS_MAX:
        return _("newest {number} results").format(number=hits)
    return _n("{number} result", "{number} results", hits).format(number=hits)
