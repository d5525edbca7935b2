"""The rows around the reader: as much of a window as is in sight and near it, laid out for a width.

Rules: what is further away is laid out when the reader comes near, so that neither a resize nor a page costs
more than some screens; heights are kept an entry, so that a change lays out only what it touched.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from itertools import accumulate

from chat.interface import EntryState, EntryView
from tui.rows import Place, Row, Setting, lead_rows, place, quoted, rows_of
from tui.window import Window

Spot = tuple[str, int]
"""An entry (id) and how many of its rows are above."""


@dataclass(frozen=True, slots=True)
class Laid:
    """The rows of one entry, and what they were made from."""

    standing: Place
    state: EntryState
    kind: str
    answers: str
    rows: tuple[Row, ...]
    lead: int


class Sheet:
    """Entries `first` to `end` of a window, one under the other from row 0 on."""

    def __init__(self) -> None:
        self.window = Window()
        self.setting = Setting(0, None, date.min)
        self.first = 0
        self.shown: list[EntryView] = []
        self._starts = [0]
        self._laid: dict[str, Laid] = {}

    @property
    def height(self) -> int:
        """Rows in all."""
        return self._starts[-1]

    @property
    def from_start(self) -> bool:
        """Whether it begins with the window."""
        return self.first == 0

    @property
    def to_end(self) -> bool:
        """Whether it ends with the window."""
        return self.first + len(self.shown) >= len(self.window)

    def lay_out(self, window: Window, setting: Setting, around: int, above: int, below: int) -> None:
        """Hold the entry at `around` with at least `below` rows from its first on and `above` before it."""
        if setting != self.setting or window is not self.window:
            self._laid = {}
        self.window, self.setting = window, setting
        laid: list[Laid] = []
        end = around
        while end < len(window) and below > 0:
            laid.append(self._lay(end))
            below -= len(laid[-1].rows)
            end += 1
        before: list[Laid] = []
        while around - len(before) > 0 and above > 0:
            before.append(self._lay(around - len(before) - 1))
            above -= len(before[-1].rows)
        self.first = around - len(before)
        self.shown = window.entries[self.first : end]
        laid = [*reversed(before), *laid]
        self._laid = {entry.id: held for entry, held in zip(self.shown, laid, strict=True)}
        self._starts = list(accumulate((len(held.rows) for held in laid), initial=0))

    def row(self, y: int) -> tuple[EntryView, int, Row] | None:
        """The entry at a row, how many of its own rows are above (negative in its lead), and the row."""
        at = self._at(y)
        if at is None:
            return None
        held = self._laid[self.shown[at].id]
        inside = y - self._starts[at]
        return self.shown[at], inside - held.lead, held.rows[inside]

    def rows(self, entry: str) -> tuple[int, tuple[Row, ...]]:
        """All rows of an entry that is shown; the first of them, so many, part it from the one before."""
        held = self._laid[entry]
        return held.lead, held.rows

    def spot(self, y: int) -> Spot | None:
        """Which entry stands at a row, and how many of its rows are above."""
        at = self._at(y)
        return None if at is None else (self.shown[at].id, y - self._starts[at])

    def span(self, entry: str) -> tuple[int, int] | None:
        """First row of an entry, without what parts it from the one before, and the row after its last."""
        at = self.window.index(entry) - self.first
        if not 0 <= at < len(self.shown) or self.shown[at].id != entry:
            return None
        return self._starts[at] + self._laid[entry].lead, self._starts[at + 1]

    def start(self, entry: str) -> int | None:
        """The first row of an entry, separators included."""
        span = self.span(entry)
        return None if span is None else span[0] - self._laid[entry].lead

    def ending(self, y: int) -> int:
        """How many of the entries shown end at or before a row."""
        return bisect_right(self._starts, y) - 1

    def unknown(self) -> list[str]:
        """Ids of what shown entries answer and nobody has read yet."""
        window = self.window
        answered = (entry.reply for entry in self.shown if entry.reply)
        return [
            one for one in dict.fromkeys(answered) if window.get(one) is None and one not in window.origins
        ]

    def _at(self, y: int) -> int | None:
        return bisect_right(self._starts, y) - 1 if 0 <= y < self.height else None

    def _lay(self, index: int) -> Laid:
        window, setting = self.window, self.setting
        entry = window.entries[index]
        standing = place(entry, window.entries[index - 1] if index else None, setting.zone)
        answers = quoted(entry, window, setting.erasing)
        held = self._laid.get(entry.id)
        made_from = (standing, entry.state, entry.kind, answers)
        if held and (held.standing, held.state, held.kind, held.answers) == made_from:
            return held
        rows = rows_of(entry, standing, setting, answers)
        lead = lead_rows(standing, new=entry.id == setting.unread, roomy=setting.roomy)
        return Laid(*made_from, rows, lead)
