"""The list on the left: contacts, and strangers who are visible nearby."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from msgspec import Struct
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from chat.interface import ContactView, NearbyView
from tui.messages import OpenConversation, PairWith
from tui.text.formatting import contact_label, safe_label
from tui.text.people import namesake_mark
from tui.text.safe import safe_name, shorten, with_room
from tui.text.translation import _

_OPEN = "▎"  # before whose conversation is open
_LEAD = 3


class Line(Struct, frozen=True):
    """One row: `key` is what can be chosen in it, None for headings and blanks; `right` stands at its end."""

    key: str | None
    pieces: tuple[tuple[str, str], ...]
    right: str = ""
    right_style: str = "people--unread"
    goes_on: bool = False
    """Whether the row before is of the same key."""


class People(ScrollView, can_focus=True):
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"people--{name}"
        for name in (
            *("heading", "name", "current", "quiet", "present"),
            *("stranger", "unread", "alert", "cursor"),
        )
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("home", "move(-100000)", show=False),
        Binding("end", "move(100000)", show=False),
        Binding("enter,space", "choose", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="people")
        self._contacts: dict[str, ContactView] = {}
        self._nearby: dict[str, NearbyView] = {}
        self._lines: list[Line] = []
        self._width = 0
        self._current: str | None = None
        self._last: Mapping[str, str] = {}
        self._ground = Style()
        self.cursor: str | None = None

    def show(
        self,
        contacts: Sequence[ContactView],
        nearby: Sequence[NearbyView],
        current: str | None,
        last: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Show these people; `current` is whose conversation is open.

        `last`: a safe line on each conversation, by person. The cursor stays on its person.
        """
        self._last = last
        self._contacts = {view.person: view for view in contacts}
        self._nearby = {view.instance: view for view in nearby}
        self._current = current
        self._lay_out()
        self._keep_cursor()

    def point_at(self, key: str) -> None:
        if key in self._keys():
            self.cursor = key
            self._show_cursor()

    def in_sight(self) -> list[tuple[int, str]]:
        top = self.scroll_offset.y
        shown = enumerate(self._lines[top : top + self.size.height])
        return [(row, line.key) for row, line in shown if line.key is not None and not line.goes_on]

    def choose(self, key: str) -> None:
        self.point_at(key)
        self.action_choose()

    def render_lines(self, crop: Region) -> list[Strip]:
        self._ground = self.rich_style  # computed at each reading, which costs more than a row
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        at = y + self.scroll_offset.y
        width = self._columns
        if width != self._width:  # a scroll bar came or went
            self._lay_out()
        if at >= len(self._lines):
            return Strip.blank(width, self._ground)
        line = self._lines[at]
        ground = self._ground
        if line.key is not None and line.key == self.cursor and self.has_focus:
            ground += self.get_component_rich_style("people--cursor", partial=True)
        return _strip(self, line, width, ground)

    def action_move(self, by: int) -> None:
        keys = self._keys()
        if keys:
            at = keys.index(self.cursor) if self.cursor in keys else 0
            self.cursor = keys[max(0, min(len(keys) - 1, at + by))]
            self._show_cursor()

    def action_choose(self) -> None:
        if self.cursor in self._contacts:
            self.post_message(OpenConversation(self.cursor))
        elif self.cursor in self._nearby:
            stranger = self._nearby[self.cursor]
            self.post_message(PairWith(stranger.instance, stranger.name))

    def on_click(self, event: events.Click) -> None:
        at = event.y + self.scroll_offset.y
        if at < len(self._lines) and (key := self._lines[at].key) is not None:
            self.cursor = key
            self.refresh()
            self.action_choose()

    @property
    def _columns(self) -> int:
        return self.scrollable_content_region.width

    def _lay_out(self) -> None:
        before, width = self._lines, self._width
        self._width = self._columns
        self._lines = self._build()
        self.virtual_size = Size(self._width, len(self._lines))
        if (width, len(before)) != (self._width, len(self._lines)):
            self.refresh()
            return
        top = self.scroll_offset.y
        for at in range(top, min(top + self.size.height, len(before))):
            if before[at] != self._lines[at]:
                self.refresh_line(at)

    def _build(self) -> list[Line]:
        heading = ("people--heading", _("Contacts"))
        lines = [Line(None, (("", " "), heading))] if self._contacts else []
        for view in self._contacts.values():
            lines += self._contact(view)
        if self._contacts:
            lines.append(Line(None, ()))
        lines.append(Line(None, (("", " "), ("people--heading", _("Nearby")))))
        for stranger in self._nearby.values():
            lines += self._stranger(stranger)
        if not self._nearby:
            lines.append(Line(None, (("people--quiet", " " + _("No one nearby")),)))
        return lines

    def _contact(self, view: ContactView) -> tuple[Line, Line]:
        open_now, quiet = view.person == self._current, view.blocked or view.muted
        right = "" if view.blocked or not view.unread else str(view.unread) if view.unread < 1000 else "999+"
        marks = self._marks(view)
        taken = _LEAD + sum(cell_len(mark) for _style, mark in marks) + (len(right) + 2 if right else 1)
        name = with_room(safe_label(contact_label(view), max(1, self._width - taken)))
        style = "current" if open_now else "quiet" if view.blocked else "name"
        pieces = (
            ("people--current", _OPEN if open_now else " "),
            _presence(view),
            (f"people--{style}", name),
            *marks,
        )
        first = Line(view.person, pieces, right, "people--quiet" if quiet else "people--unread")
        bar = ("people--current", _OPEN if open_now else " ")
        said = with_room(shorten(self._last.get(view.person, ""), max(1, self._width - _LEAD - 1)))
        unread = view.unread and not view.blocked and not quiet
        last = (bar, ("", "  "), ("people--name" if unread else "people--quiet", said))
        return first, Line(view.person, last, goes_on=True)

    def _marks(self, view: ContactView) -> list[tuple[str, str]]:
        marks = (
            (view.bot, ("people--quiet", " " + _("bot"))),
            (view.verified, ("people--present", " ✓")),
            (view.relayed and view.present and not view.blocked, ("people--quiet", " ⇄")),
            (view.held, ("people--alert", " !")),
            (view.pinned, ("people--quiet", " ↑")),
            (view.muted, ("people--quiet", " z")),
            (view.typing and not view.blocked, ("people--quiet", " …")),
        )
        return [mark for holds, mark in marks if holds]

    def _stranger(self, view: NearbyView) -> list[Line]:
        name = with_room(safe_name(view.name, max(4, self._width - 4)))
        lines = [Line(view.instance, (("people--stranger", " + "), ("people--name", name)))]
        if mark := namesake_mark(view):
            said = with_room(shorten(mark, max(1, self._width - 4)))
            lines.append(Line(view.instance, (("", "   "), ("people--alert", said)), goes_on=True))
        return lines

    def _keys(self) -> list[str]:
        return [line.key for line in self._lines if line.key is not None and not line.goes_on]

    def _keep_cursor(self) -> None:
        keys = self._keys()
        if self.cursor not in keys:
            notes = {view.person for view in self._contacts.values() if view.notes}
            others = (key for key in keys if key not in notes)  # somebody new looks for people
            self.cursor = self._current if self._current in keys else next(others, None)
            self.refresh()

    def _show_cursor(self) -> None:
        rows = [at for at, line in enumerate(self._lines) if line.key == self.cursor]
        if rows:
            self.scroll_to_region(Region(0, rows[0], 1, len(rows)), animate=False)
        self.refresh()


def _presence(view: ContactView) -> tuple[str, str]:
    if view.notes:
        return "people--quiet", "≡ "
    if view.blocked:
        return ("people--alert", "⊘ ")
    return ("people--present", "● ") if view.present else ("people--quiet", "○ ")


def _strip(widget: ScrollView, line: Line, width: int, ground: Style) -> Strip:
    """The cells of a row, exactly as wide as the widget."""
    segments, used = [], 0
    for name, text in line.pieces:
        style = widget.get_component_rich_style(name, partial=True) if name else Style()
        segments.append(Segment(text, ground + style))
        used += cell_len(text)
    right = f" {line.right} " if line.right else ""
    segments.append(Segment(" " * max(0, width - used - len(right)), ground))
    if right:
        unread = widget.get_component_rich_style(line.right_style, partial=True)
        segments.append(Segment(right, ground + unread))
    return Strip(segments).adjust_cell_length(width, ground)
