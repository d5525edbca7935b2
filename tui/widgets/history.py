"""The history of one conversation: a scroll view that draws only the rows in sight.

It stays at its end until the reader scrolls away, and then keeps the reader's place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, tzinfo
from typing import ClassVar, NamedTuple

from msgspec.structs import replace
from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scrollbar import ScrollTo
from textual.strip import Strip

from chat.interface import EntryState, EntryView, PictureView, Term, pattern
from tui.actions import command, history_bindings
from tui.conversation import Window
from tui.graphics import Graphics
from tui.messages import (
    AddressClicked,
    EntryClicked,
    OriginsMissing,
    ReachedNewest,
    ReachedOldest,
    ViewChanged,
    WantNewest,
)
from tui.text import kitty
from tui.text.message_rows import Row, Setting, address_at, is_long, style_at
from tui.text.pictures import COLUMNS_MAX, ROWS_MAX
from tui.text.safe import shorten
from tui.text.translation import _, _n
from tui.widgets.history_layout import Look, Spot, Strips, StripStyle
from tui.widgets.history_selection import Selecting

_SPARE = 2  # screens laid out above and below the one in sight
_AHEAD = 100  # entries held beyond those, so that a held key does not come to the end of what was read
_STYLES = (
    *("text", "time", "rule", "day", "unread", "bar-own", "bar-theirs", "name-own", "name-theirs", "reply"),
    *("gone", "warning", "more"),
    *("bold", "italic", "struck", "code", "block", "quote", "item", "link", "hit"),
)
_MARKS = tuple(f"mark-{state.value}" for state in EntryState)


class _View(NamedTuple):
    """What is looked at: columns, rows, the row of the sheet in the first of them; whether keys go here.

    `selecting`: something may be selected.
    """

    width: int
    height: int
    offset: int
    focused: bool
    selecting: bool


def _filled(style: str, text: str, width: int) -> Row:
    return (style, text), ("text", " " * (width - cell_len(text)))


_BESIDE_PICTURE = 3  # columns of the bar and of a margin


class History(Selecting, can_focus=True):
    """Shows a `Window`. Call `window_changed` after every change of the window.

    A click moves no focus here: letters that are meant for the message box would run commands on the message.
    """

    FOCUS_ON_CLICK = False

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"history--{name}" for name in (*_STYLES, *_MARKS, "below", "cursor", "selected")
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "cursor_up", show=False),
        Binding("down,j", "cursor_down", show=False),
        Binding("end,G", command("newest"), show=False),
        Binding("shift+up", "select(-1)", show=False),
        Binding("shift+down", "select(1)", show=False),
        Binding("ctrl+c,super+c", command("copy"), show=False),
        *history_bindings(),
    ]

    def __init__(
        self, today: Callable[[], date], zone: tzinfo | None = None, graphics: Graphics | None = None
    ) -> None:
        super().__init__(id="history")
        self.cursor = ""
        self._pointed = ""  # what is marked while the focus is elsewhere
        self.unread = ""
        self.below = 0
        self._today, self._graphics = today, graphics
        self._setting = Setting(0, zone, date.min)
        self.at_end = True
        self._arranging = False
        self._owed = 0
        self._opening = ""
        self._drawn: dict[int, Look] = {}
        self._strips = Strips(self._component)

    # What it shows.

    def show(self, window: Window, first: str = "", *, many: bool = False) -> None:
        """Show another conversation, from a held entry on or from its end. `many`: are unread."""
        self.window = window
        self.selected = None
        self.cursor, self._pointed, self.below = "", "", 0
        self._setting = replace(
            self._setting, unread=self.unread, many=many, wanted=None, unfolded=frozenset()
        )
        self._opening = first
        self._open()
        self.post_message(ViewChanged())

    def _open(self) -> None:
        """Go where the conversation opens; again with the first size where there is none yet."""
        if not self._opening:
            self._show_end()
            return
        self.at_end = False
        self._lay_out(self.window.index(self._opening))
        start, height = self._sheet.start(self._opening) or 0, self.size.height
        _first, end = self._sheet.span(self._opening) or (0, 0)
        if height:
            self._opening = ""
        top = max(start - height // 3, min(start, end - height))  # with what was said before, if both fit
        self._go(max(0, min(top, self._last_offset())))
        if self._stands_at_end():
            self._show_end()
        else:
            self._redraw()
            self._ask_for_more()

    def window_changed(self, window: Window, came: Iterable[EntryView] = ()) -> None:
        """Draw what the window holds now; the reader's place stays. `came`: entries that are new."""
        self.window = window
        if not self.at_end:
            self._count_below(came)
        self._arrange(self.spot)
        if self._owed:
            self._scroll(self.scroll_offset.y + self._owed)
        self.post_message(ViewChanged())

    def point_at(self, window: Window, entry: str, terms: Iterable[Term] = ()) -> None:
        """Show an entry of a window with the cursor on it and the hits of these terms marked."""
        self.window = window
        unfolded = self._setting.unfolded | {entry}  # what was found may be in any row
        self._setting = replace(self._setting, wanted=pattern(terms), unfolded=unfolded)
        self.cursor = self._pointed = entry
        self.at_end = False
        self._lay_out(self.window.index(entry))
        span = self._sheet.span(entry)
        if span is not None:
            self._go(max(0, min(span[0] - self.size.height // 3, self._last_offset())))
        self.at_end = self._stands_at_end()
        self._redraw()
        self._look()

    def can_fold(self, entry: EntryView) -> bool:
        """Whether an entry has more rows than are shown at first."""
        return is_long(entry, self._setting)

    def fold(self, entry: EntryView) -> bool:
        """Fold a long entry, or unfold it; False for one that is short."""
        if not self.can_fold(entry):
            return False
        self._setting = replace(self._setting, unfolded=self._setting.unfolded ^ {entry.id})
        self._arrange(self.spot)
        return True

    def unmark(self) -> None:
        """Mark no hits any more, and nothing else."""
        self.select_nothing()
        if self._pointed:
            self._pointed = ""
            self._redraw()
        if self._setting.wanted is not None:
            self._setting = replace(self._setting, wanted=None)
            self._arrange(self.spot)

    def erase(self, erasing: frozenset[str]) -> None:
        """Draw what the window holds now; of these deleted entries the file may still hold words."""
        self._setting = replace(self._setting, erasing=erasing)
        self._arrange(self.spot)

    def show_pictures(self, pictures: Mapping[str, PictureView], *, sharp: bool = False) -> None:
        """Draw these pictures above the lines of their files; `sharp`: new ones by the terminal itself."""
        if self._graphics is not None:
            more = sharp and self._all_colours
            placed = self._graphics.show(pictures, max(1, self._columns - _BESIDE_PICTURE), more=more)
            self._setting = replace(self._setting, placed=placed)
        self._setting = replace(self._setting, pictures=pictures)
        self._arrange(self.spot)

    def picture_size(self, *, sharp: bool) -> tuple[int, int]:
        """The pixels for which a picture in this view has room; two in each cell unless it is `sharp`."""
        columns, rows = max(1, self._columns - _BESIDE_PICTURE), max(4, self.size.height - 4)
        if sharp and self._graphics is not None and self._all_colours:
            return kitty.CELL[0] * min(kitty.COLUMNS_MAX, columns), kitty.CELL[1] * min(kitty.ROWS_MAX, rows)
        return min(COLUMNS_MAX, columns), 2 * min(ROWS_MAX, rows)

    @property
    def _all_colours(self) -> bool:
        """Whether a colour reaches the terminal as it is: it is the number of a picture."""
        return self.app.console.color_system == "truecolor" and not self.app.no_color

    def apply_style(self, *, roomy: bool, language: str) -> None:
        """Lay out in this spacing, with words in this language; the reader's place stays."""
        self._setting = replace(self._setting, roomy=roomy, language=language)
        self._arrange(self.spot)

    def mark_bot(self, *, on: bool) -> None:
        """Say at the name of the contact whether it is a bot."""
        if on != self._setting.bot:
            self._setting = replace(self._setting, bot=on)
            self._arrange(self.spot)

    @property
    def spot(self) -> Spot | None:
        return self._sheet.spot(self.scroll_offset.y)

    def on_screen(self) -> tuple[set[str], set[str]]:
        """The entries of the contact whose first row is in sight, and those whose last row is."""
        top = self.scroll_offset.y
        bottom = top + self.size.height - bool(self.below)  # the line about new entries covers a row
        begun, ended = set[str](), set[str]()
        for entry in self._sheet.shown[max(0, self._sheet.ending(top)) :]:
            span = self._sheet.span(entry.id)
            if span is None or span[0] >= bottom:
                break
            if not entry.own:
                begun |= {entry.id} if span[0] >= top else set()
                ended |= {entry.id} if top < span[1] <= bottom else set()
        return begun, ended

    @property
    def chosen(self) -> EntryView | None:
        at = self.window.index(self.cursor)
        if at >= 0:
            return self.window.entries[at]
        shown = self._sheet.shown[: self._sheet.ending(self.scroll_offset.y + self.size.height)]
        return next((one for one in reversed(shown) if not self._sheet.is_folded(one.id)), None)

    @property
    def reading(self) -> int:
        """The place in the window of what is at the top of the view, or of the last while it stays there."""
        spot = self.spot
        return len(self.window) - 1 if self.at_end or spot is None else self.window.index(spot[0])

    def in_sight(self) -> list[tuple[int, str]]:
        """The rows of the view in which an entry begins, or the first that is seen of it, and which one."""
        found: dict[str, int] = {}
        for row in range(self.size.height):
            at = self._sheet.row(row + self.scroll_offset.y - self._lead())
            if at is not None and at[1] >= 0:
                found.setdefault(at[0].id, row)
        return [(row, entry) for entry, row in found.items()]

    def choose(self, entry: str) -> None:
        self.cursor = entry
        self.focus()
        self._redraw()

    # Drawing.

    def render_lines(self, crop: Region) -> list[Strip]:
        """The rows of the view. Textual's own way would make a strip again wherever one scrolls."""
        self._strips.apply(self._strip_style())
        view, top = self._measured(), self.styles.gutter.top
        strips = [self._strip(y - top, view) for y in crop.line_range]
        left, right = crop.column_span
        return strips if crop.width == self.region.width else [one.crop(left, right) for one in strips]

    def _strip(self, y: int, view: _View) -> Strip:
        look = self._drawn[y] = self._look_of(y, view)
        return self._strips.of(look)

    def _strip_style(self) -> StripStyle:
        filters, background = tuple(self.get_line_filters()), self.background_colors[1]
        return StripStyle(self.rich_style, self.styles.gutter.left, self.region.width, filters, background)

    def _redraw(self) -> None:
        view = self._measured()
        changed = [y for y in range(view.height) if self._drawn.get(y) != self._look_of(y, view)]
        if changed:
            self.refresh(*(Region(0, y, view.width, 1) for y in changed))

    def _measured(self) -> _View:
        height = self.size.height
        offset = self.scroll_offset.y - max(0, height - self._sheet.height)
        return _View(self._columns, height, offset, self.has_focus, self.selected is not None)

    def _look_of(self, y: int, view: _View) -> Look:
        last = y == view.height - 1
        if last and self.below:
            return self._pill(view.width), False, None
        if last and not self.window.entries and self.window.complete:
            return _filled("day", shorten(_("No messages yet."), view.width), view.width), False, None
        found = self._sheet.row(y + view.offset)
        if found is None:
            return _filled("text", "", view.width), False, None
        entry, inside, row = found
        selected = self.columns_selected(entry, inside) if view.selecting else None
        marked = self.cursor if view.focused else self._pointed
        return row, inside >= 0 and entry.id == marked, selected

    def _pill(self, width: int) -> Row:
        text = _n(" ↓ {number} new below · End ", " ↓ {number} new below · End ", self.below)
        label = shorten(text.format(number=self.below), width)
        left = " " * ((width - cell_len(label)) // 2)
        return ("text", left), *_filled("below", label, width - len(left))

    # Keys and the mouse.

    def action_newest(self) -> None:
        if self.window.last:
            self.below = 0
            self.unmark()
            self._show_end()
            self._choose_in_sight()
            self.post_message(ViewChanged())
        else:
            self.post_message(WantNewest())

    def turn(self, pages: int) -> None:
        """Scroll by so many heights of the view; what is not read yet follows when it is."""
        wanted, end = self.scroll_offset.y + pages * self.size.height, self._last_offset()
        self._scroll(wanted)
        if wanted < 0 and not self.window.complete:
            self._owed = wanted
        elif wanted > end and not self.window.last:
            self._owed = wanted - end

    def action_cursor_up(self) -> None:
        self.select_nothing()
        span = self._sheet.span(self.cursor)
        if span is None or not self._in_sight(span):
            self._choose_in_sight()
        elif span[0] < self.scroll_offset.y:
            self._scroll(max(span[0], self.scroll_offset.y - max(1, self.size.height // 2)))
        else:
            self._move_cursor(-1)

    def action_cursor_down(self) -> None:
        self.select_nothing()
        span = self._sheet.span(self.cursor)
        bottom = self.scroll_offset.y + self.size.height
        if span is None or not self._in_sight(span):
            self._choose_in_sight()
        elif span[1] > bottom:
            self._scroll(min(span[1], bottom + max(1, self.size.height // 2)) - self.size.height)
        else:
            self._move_cursor(1)

    def key_escape(self) -> None:
        self.select_nothing()

    def on_focus(self) -> None:
        self._pointed = ""
        span = self._sheet.span(self.cursor)
        if span is None or not self._in_sight(span):
            self._choose_in_sight()

    async def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or self.selected is not None:  # it ended a selection
            return
        if self.below and offset.y == self.size.height - 1:
            self.action_newest()
            return
        found = self._sheet.row(offset.y + self.scroll_offset.y - self._lead())
        if found is None:
            return
        entry, inside, row = found
        self.cursor = self._pointed = entry.id
        self._redraw()
        self.post_message(EntryClicked())
        if event.chain == 2:
            await self.run_action(command("entry"))
        elif event.chain == 1 and style_at(row, offset.x) == "reply":
            await self.run_action(command("origin"))
        elif event.chain == 1 and style_at(row, offset.x) == "more":
            self.fold(entry)
        elif event.chain == 1:
            lead, rows = self._sheet.rows(entry.id)
            if address := address_at(entry, rows, inside + lead, offset.x):
                self.post_message(AddressClicked(address))

    def _move_cursor(self, by: int) -> None:
        at = self._next(self.window.index(self.cursor), by)
        if 0 <= at < len(self.window):
            self.cursor = self.window.entries[at].id
            self._bring(by)

    def _bring(self, by: int) -> None:
        """Scroll no further than shows the entry under the cursor."""
        start, span = self._sheet.start(self.cursor), self._sheet.span(self.cursor)
        if span is None or start is None:
            return
        top, height = self.scroll_offset.y, self.size.height
        first = start if by < 0 and span[1] - start <= height else span[0]
        if first < top or span[1] > top + height:
            long = span[1] - span[0] > height
            self._scroll(span[1] - height if (by < 0) == long else first)
        self._redraw()

    def _choose_in_sight(self) -> None:
        self.cursor = ""
        chosen = self.chosen
        self.cursor = chosen.id if chosen is not None else ""
        self._redraw()

    def _in_sight(self, span: tuple[int, int]) -> bool:
        return span[0] < self.scroll_offset.y + self.size.height and span[1] > self.scroll_offset.y

    # Scrolling.

    def on_scroll_to(self, message: ScrollTo) -> None:
        """The bar was drawn: at once, as laying out rows would end an animation within its step."""
        message.animate = False

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._arranging:
            return
        self._owed = 0
        self.at_end = self._stands_at_end()
        if self.at_end and self.below:
            self.below = 0
            self._redraw()
        if round(old_value) != round(new_value):
            self._look()

    def on_resize(self, event: events.Resize) -> None:
        if self._opening:
            self._open()
        else:
            self._arrange(self.spot)
        self.post_message(ViewChanged())

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.forget()
        self.refresh()

    def _component(self, name: str) -> Style:
        return self.get_component_rich_style(f"history--{name}", partial=True)

    def _look(self) -> None:
        """Lay out and ask for what the reader comes near to."""
        sheet, height = self._sheet, self.size.height
        top = self.scroll_offset.y
        under = sheet.height - top - height
        if (top < height and not sheet.from_start) or (under < height and not sheet.to_end):
            self._arrange(self.spot)
        self._ask_for_more()
        self.post_message(ViewChanged())

    def _ask_for_more(self) -> None:
        sheet, window = self._sheet, self.window
        if window.entries and not window.complete and sheet.first < _AHEAD:
            self.post_message(ReachedOldest())
        if not window.last and len(window) - sheet.first - len(sheet.shown) < _AHEAD:
            self.post_message(ReachedNewest())

    def _arrange(self, spot: Spot | None) -> None:
        """Lay out around a place of the reader and go there; to the end where one stays there."""
        index = self.window.index(spot[0]) if spot else -1
        if self.at_end or spot is None or index < 0:
            self._show_end()
            return
        self._lay_out(index, spot[1])
        start = self._sheet.start(spot[0])
        self._go((start or 0) + spot[1])
        self.at_end = self._stands_at_end()
        self._redraw()
        self._ask_for_more()

    def _show_end(self) -> None:
        self.at_end = True
        self._lay_out(max(0, len(self.window) - 1))
        self._go(self._last_offset())
        self._redraw()
        self._ask_for_more()

    def _lay_out(self, around: int, inside: int = 0) -> None:
        """Lay out enough around the place that is `inside` rows into an entry."""
        self._setting = replace(self._setting, width=self._columns, today=self._today())
        spare = max(1, self.size.height) * _SPARE
        self._sheet.lay_out(self.window, self._setting, around, spare, inside + spare + self.size.height)
        # Without a watcher, which would lay out the whole screen again, and paint it twice.
        self.set_reactive(History.virtual_size, Size(self._columns, self._sheet.height))
        self.vertical_scrollbar.window_virtual_size = self._sheet.height
        missing = self._sheet.unknown()
        if missing:
            self.post_message(OriginsMissing(tuple(missing)))

    def _go(self, y: int) -> None:
        self._arranging = True
        self.scroll_to(y=y, animate=False, force=True)
        self._arranging = False

    def _scroll(self, y: int) -> None:
        self.scroll_to(y=y, animate=False, force=True)

    def _stands_at_end(self) -> bool:
        return self._sheet.to_end and self.window.last and self.scroll_offset.y >= self._last_offset()

    @property
    def _columns(self) -> int:
        return max(0, self.size.width - self.styles.scrollbar_size_vertical)

    def _lead(self) -> int:
        """Blank rows above a history that does not fill the view: it stands at the bottom."""
        return max(0, self.size.height - self._sheet.height)

    def _last_offset(self) -> int:
        return max(0, self._sheet.height - self.size.height)

    def _count_below(self, came: Iterable[EntryView]) -> None:
        """Count what came in below the entries in sight, held or not."""
        shown = self._sheet.shown[: self._sheet.ending(self.scroll_offset.y + self.size.height)]
        last = self.window.index(shown[-1].id) if shown else -1
        for entry in came:
            below = self.window.index(entry.id) > last or entry.id in self.window.beyond
            self.below += below and not entry.own
