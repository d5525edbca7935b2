"""Selecting in a history: with the mouse from any character to any other, with keys whole messages."""

from __future__ import annotations

from abc import abstractmethod
from datetime import date
from typing import Final

from textual import events
from textual.timer import Timer

from chat.interface import EntryView
from tui.conversation import Window
from tui.messages import TextDragged
from tui.text.message_rows import Setting, shown_text
from tui.text.selecting import Place, Selected, columns, place_at, selected_text
from tui.widgets.history_layout import Barred, Sheet

_LEFT: Final = 1
_SCROLLS: Final = 0.06
"""Seconds between two rows while the mouse is held above or below the view."""


class Selecting(Barred):
    """A history whose text can be selected. Textual's own way knows no text that is scrolled out of sight."""

    ALLOW_SELECT = False

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.window = Window()
        self.cursor = ""
        self.selected: Selected | None = None
        self._sheet = Sheet()
        self._setting = Setting(0, None, date.min)
        self._pressed: Place | None = None
        self._pulls: Timer | None = None

    @property
    def selected_text(self) -> str:
        return selected_text(self.selected, self.window, self._setting) if self.selected is not None else ""

    @property
    def selected_entries(self) -> tuple[EntryView, ...]:
        """Each entry of which something is selected."""
        ends = self.selected.ends(self.window) if self.selected is not None else None
        if ends is None:
            return ()
        first, last = (self.window.index(end.entry) for end in ends)
        return tuple(self.window.entries[first : last + 1])

    def select_nothing(self) -> None:
        if self.selected is not None:
            self.selected = None
            self._redraw()

    def columns_selected(self, entry: EntryView, row: int) -> tuple[int, int] | None:
        """The columns that are selected of a row of an entry, counted from the first of its own."""
        ends = self.selected.ends(self.window) if self.selected is not None else None
        at = self.window.index(entry.id)
        if ends is None or not self.window.index(ends[0].entry) <= at <= self.window.index(ends[1].entry):
            return None
        text, parts, above = self._sheet.words(entry)
        if not 0 <= row - above < len(parts):
            return None
        start = ends[0].at if entry.id == ends[0].entry else 0
        end = ends[1].at if entry.id == ends[1].entry else len(text)
        return columns(parts[row - above], text, start, end)

    # The mouse.

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.select_nothing()
        if event.button == _LEFT:
            self._pressed = self._place(event)
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._pressed is None:
            return
        if event.button != _LEFT:  # the button was let go where nobody saw it
            self._let_go()
            return
        self._select_to(self._place(event))
        self._pull(event.y - self.styles.gutter.top)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self._pressed is not None:
            self._let_go()
            if text := self.selected_text:
                self.post_message(TextDragged(text))
            else:
                self.select_nothing()

    def on_mouse_release(self) -> None:
        """Also where another screen was opened meanwhile."""
        self._pressed = None
        self._stop_pulling()

    def _let_go(self) -> None:
        self._pressed = None
        self._stop_pulling()
        self.release_mouse()

    def _select_to(self, place: Place | None) -> None:
        if self._pressed is not None and place is not None and (self.selected or place != self._pressed):
            self.selected = Selected(self._pressed, place)
            self._redraw()

    def _place(self, event: events.MouseEvent) -> Place | None:
        left, top = self.styles.gutter.left, self.styles.gutter.top
        return self._place_at(event.x - left, min(max(event.y - top, 0), self.size.height - 1))

    def _place_at(self, column: int, row: int) -> Place | None:
        """What stands at a column and a row of the view; around all messages their first or last place."""
        at = row + self.scroll_offset.y - max(0, self.size.height - self._sheet.height)
        found = self._sheet.row(min(max(at, 0), self._sheet.height - 1))
        if found is None:
            return None
        entry, inside, _row = found
        text, parts, above = self._sheet.words(entry)
        return Place(entry.id, place_at(parts, text, inside - above if at >= 0 else -1, column))

    def _pull(self, row: int) -> None:
        """Scroll while the mouse is held above or below the view."""
        self._stop_pulling()
        by = -1 if row < 0 else int(row >= self.size.height)
        if by:
            self._pulls = self.set_interval(_SCROLLS, lambda: self._scroll_by(by))

    def _scroll_by(self, by: int) -> None:
        self.scroll_to(y=self.scroll_offset.y + by, animate=False, force=True)
        row, column = (0, 0) if by < 0 else (self.size.height - 1, self.size.width)
        self._select_to(self._place_at(column, row))

    def _stop_pulling(self) -> None:
        if self._pulls is not None:
            self._pulls.stop()
            self._pulls = None

    # Keys.

    def action_select(self, by: int) -> None:
        """Select the message under the cursor and the next one in a direction; one more each time."""
        begun = self.selected.begun.entry if self.selected is not None else self.cursor
        at = self.window.index(self.selected.now.entry if self.selected is not None else self.cursor)
        now = self._next(at, by)
        if begun not in self.window or not 0 <= now < len(self.window):
            return
        self.cursor = self.window.entries[now].id
        self._bring(by)
        down = now >= self.window.index(begun)
        ends = Place(begun, 0 if down else self._length(begun)), self._end(self.cursor, down)
        self.selected = Selected(*ends)
        self._redraw()

    def _next(self, at: int, by: int) -> int:
        """The next index in a direction whose entry has a row; one outside of the window where none has."""
        at += by
        while 0 <= at < len(self.window) and self._sheet.is_folded(self.window.entries[at].id):
            at += by
        return at

    def _end(self, entry: str, down: bool) -> Place:
        return Place(entry, self._length(entry) if down else 0)

    def _length(self, entry: str) -> int:
        held = self.window.get(entry)
        return len(shown_text(held, self._setting)[0]) if held is not None else 0

    # What a history has.

    @abstractmethod
    def _bring(self, by: int) -> None: ...

    @abstractmethod
    def _redraw(self) -> None: ...
