"""The rows of a conversation as named pieces of safe text, and what stands at a place of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta, tzinfo
from itertools import accumulate
from types import MappingProxyType

from msgspec import Struct
from rich.cells import cell_len

from chat.interface import DeletedBy, EntryKind, EntryView, FileState, PictureView, hits
from tui.actions import action
from tui.conversation import Window
from tui.text import kitty
from tui.text.formatting import (
    clock_time,
    day_of,
    day_title,
    ends_mark,
    instead_of_text,
    safe_label,
    state_mark,
    warnings,
)
from tui.text.kitty import Placed
from tui.text.markdown import Line, Span, addresses, lines
from tui.text.matching import between, with_hits
from tui.text.pictures import cells, spans
from tui.text.safe import safe, safe_line, shorten, widest, with_room
from tui.text.translation import _, _n
from tui.text.wrapping import Cut, cuts, pieces, wrap

Row = tuple[Span, ...]

PAUSE = timedelta(minutes=10)
_BAR = "▎ "
_MARGIN = 1
_HANGING_LEAST = 24  # columns under which the rows of a list's item are not indented
_NO_PICTURES: Mapping[str, PictureView] = MappingProxyType({})
_ROWS_MOST = 30  # rows of an entry; of one with more the first are shown
_ROWS_FIRST = 28
_NEAR = 72  # columns after which no time stands, but where the text goes on
_NONE_PLACED: Mapping[str, Placed] = MappingProxyType({})
_QUOTED_MAX = 400  # characters of an origin that are looked at for its one row


class Setting(Struct, frozen=True):
    """What a layout depends on besides the entries.

    Columns, time zone, the day that is today; the entry (id) before which a line says that it is new; what
    finds the words of a search; whether a blank row parts all entries; the language of the words; the deleted
    entries (ids) of which something may still be in the profile's file; the pictures shown, and those of them
    that the terminal draws itself; the long entries (ids) of which all rows are shown; whether the contact
    is a bot; whether so many are new that the key is named which marks all as read.
    """

    width: int
    zone: tzinfo | None
    today: date
    unread: str = ""
    wanted: re.Pattern[str] | None = None
    roomy: bool = False
    language: str = ""
    erasing: frozenset[str] = frozenset()
    pictures: Mapping[str, PictureView] = _NO_PICTURES
    unfolded: frozenset[str] = frozenset()
    placed: Mapping[str, Placed] = _NONE_PLACED
    bot: bool = False
    many: bool = False


class Place(Struct, frozen=True):
    """How an entry stands to the one before it: does a day begin, does an author begin."""

    day: bool
    head: bool


def place(entry: EntryView, previous: EntryView | None, zone: tzinfo | None) -> Place:
    """Where an entry begins a new day or a new group of one author's entries."""
    if previous is None or day_of(entry.time, zone) != day_of(previous.time, zone):
        return Place(day=True, head=True)
    same = entry.own == previous.own and entry.author == previous.author
    return Place(day=False, head=not same or abs(entry.time - previous.time) > PAUSE)


def quoted(entry: EntryView, window: Window, erasing: frozenset[str] = frozenset()) -> str:
    """One line, safe, of what an entry answers; empty where it answers nothing."""
    if not entry.reply:
        return ""
    origin = window.get(entry.reply)
    if origin is None:
        return _("a message that is not on this device") if entry.reply in window.origins else "…"
    name = _("You") if origin.own else safe_label(origin.author)
    if origin.kind != "text":
        return _("{name}: {text}").format(name=name, text=_unshown(origin, erasing))
    text = " ".join(line.text for line in lines(safe(origin.text[:_QUOTED_MAX])))
    return _("{name}: {text}").format(name=name, text=safe_line(text))


class Folded(Struct, frozen=True):
    """The place of an entry among those that are gone and fold into one row, which the last of them has.

    How many disappeared and were deleted here, 0 and 0 but in the last; the index of the first.
    """

    expired: int = 0
    deleted: int = 0
    first: int = 0


def folded(entries: Sequence[EntryView], setting: Setting) -> dict[int, Folded]:
    """What is gone and says nothing more than that, in one row for those that follow each other on a day."""
    found, run = dict[int, Folded](), list[int]()

    def close() -> None:
        if len(run) > 1:
            expired = sum(entries[at].kind is EntryKind.EXPIRED for at in run)
            found.update(dict.fromkeys(run, Folded()))
            found[run[-1]] = Folded(expired, len(run) - expired, run[0])
        run.clear()

    for at, entry in enumerate(entries):
        if not _folds(entry, setting):
            close()
            continue
        if run and day_of(entry.time, setting.zone) != day_of(entries[run[0]].time, setting.zone):
            close()
        run.append(at)
    close()
    return found


def _folds(entry: EntryView, setting: Setting) -> bool:
    here = entry.kind is EntryKind.DELETED and entry.deleted_by in (DeletedBy.HERE, DeletedBy.NOBODY)
    gone = here or entry.kind is EntryKind.EXPIRED
    return gone and entry.id not in (setting.unread, *setting.erasing)


def folded_rows(entry: EntryView, standing: Place, setting: Setting, folded: Folded) -> tuple[Row, ...]:
    """The row of entries that are gone, after that of its day."""
    expired = _n("{number} disappeared", "{number} disappeared", folded.expired)
    deleted = _n("{number} deleted here", "{number} deleted here", folded.deleted)
    parts = [(expired, folded.expired), (deleted, folded.deleted)]
    said, *more = (text.format(number=number) for text, number in parts if number)
    said = _("{one}, {other}").format(one=said, other=more[0]) if more else said
    day = day_title(day_of(entry.time, setting.zone), setting.today)
    rows = _separator("day", day, setting.width) if standing.day else [_blank(setting.width)]
    text = shorten(f"({said})", _inner(setting))
    return (*rows, (("time", "  "), ("gone", _fill(text, setting.width - len(_BAR)))))


def rows_of(entry: EntryView, standing: Place, setting: Setting, answers: str = "") -> tuple[Row, ...]:
    """All rows of one entry: separator, author, what it answers, text with its time and mark at the end."""
    rows: list[Row] = []
    new = bool(setting.unread) and entry.id == setting.unread
    if standing.day:
        rows += _separator("day", day_title(day_of(entry.time, setting.zone), setting.today), setting.width)
    if new:
        rows += _separator("unread", _new(setting), setting.width)[standing.day :]
    elif (standing.head or setting.roomy) and not standing.day:
        rows.append(_blank(setting.width))
    if standing.head or new:
        rows.append(_head(entry, setting))
    if answers:
        rows.append(_answers(entry, answers, setting.width))
    rows += _warnings(entry, setting)
    return (*rows, *_picture(entry, setting), *_body(entry, setting))


def lead_rows(standing: Place, *, new: bool, roomy: bool = False) -> int:
    """How many rows of an entry stand before those that belong to it: separators and blanks."""
    day = 3 if standing.day else 0
    if new:
        return day + 3 - standing.day
    return day or int(standing.head or roomy)


def is_long(entry: EntryView, setting: Setting) -> bool:
    """Whether an entry has more rows than are shown before somebody unfolds it."""
    return sum(len(_laid(line, _inner(setting), setting)) for line in _lines(entry, setting)) > _ROWS_MOST


def _folded(shown: list[Row], entry: EntryView, setting: Setting) -> list[Row]:
    more = len(shown) - _ROWS_FIRST
    if len(shown) <= _ROWS_MOST or entry.id in setting.unfolded:
        return shown
    said = _n("… {number} more row", "… {number} more rows", more).format(number=more)
    key = action("fold").key
    said = _("{rows}: {key} or a click shows all").format(rows=said, key=key) if key else said
    return [*shown[:_ROWS_FIRST], (("more", shorten(said, _inner(setting))),)]


def rows_above(entry: EntryView, standing: Place, setting: Setting, answers: str) -> int:
    """How many rows of an entry stand before the first one of its text."""
    new = bool(setting.unread) and entry.id == setting.unread
    lead = lead_rows(standing, new=new, roomy=setting.roomy)
    above = bool(standing.head or new) + bool(answers) + len(_warnings(entry, setting))
    return lead + above + len(_picture(entry, setting))


def _separator(style: str, title: str, width: int) -> list[Row]:
    inner = width - _MARGIN
    title = shorten(f" {title} ", inner)
    left = (inner - cell_len(title)) // 2
    right = inner - cell_len(title) - left
    line: Row = (("rule", "─" * left), (style, title), ("rule", "─" * right + " " * _MARGIN))
    return [_blank(width), line, _blank(width)]


def _new(setting: Setting) -> str:
    key = action("mark_all_read").key if setting.many else ""
    return _("New · {key} marks all as read").format(key=key) if key else _("New")


def _blank(width: int) -> Row:
    return (("text", " " * width),)


def _head(entry: EntryView, setting: Setting) -> Row:
    side, width = _side(entry), setting.width
    of_bot = setting.bot and not entry.own and entry.claimed != "device"
    mark = f" {_('bot')}" if of_bot else ""
    name = _("You") if entry.own else safe_label(entry.author, max(4, width - 4 - cell_len(mark)))
    if mark:
        plain = with_room(name)
        rest = (("time", _fill(mark, width - len(_BAR) - cell_len(plain))),)
        return ((f"bar-{side}", _BAR), (f"name-{side}", plain), *rest)
    return ((f"bar-{side}", _BAR), (f"name-{side}", _fill(name, width - len(_BAR))))


def _answers(entry: EntryView, answers: str, width: int) -> Row:
    text = shorten(f"↳ {answers}", width - len(_BAR) - _MARGIN)
    return ((f"bar-{_side(entry)}", _BAR), ("reply", _fill(text, width - len(_BAR))))


def _warnings(entry: EntryView, setting: Setting) -> list[Row]:
    """Every warning as a whole: its end may be what it warns of."""
    bar, cells = (f"bar-{_side(entry)}", _BAR), setting.width - len(_BAR)
    said = [row for mark in warnings(entry) for row in wrap(f"⚠ {mark}", _inner(setting))]
    return [(bar, ("warning", _fill(row, cells))) for row in said]


def _body(entry: EntryView, setting: Setting) -> list[Row]:
    inner = _inner(setting)
    bar = (f"bar-{_side(entry)}", _BAR)
    shown = [row for line in _lines(entry, setting) for row in _laid(line, inner, setting)]
    shown = _folded(shown, entry, setting)
    mark, time = state_mark(entry.state), clock_time(entry.time, setting.zone)
    time = _("edited {time}").format(time=time) if entry.edited else time
    ends = ends_mark(entry, setting.zone)
    tail = (ends + " " if ends else "") + (mark + " " if mark else "") + time
    if _cells(shown[-1], widest) + 2 + cell_len(tail) > inner and inner >= cell_len(tail):
        shown.append(())
    *above, last = shown
    rows: list[Row] = [(bar, *_padded(row, inner + _MARGIN)) for row in above]
    # Close to a short text: on a wide screen nobody finds the row of a time at its other side.
    end_of_text = _cells(shown[-1], widest) + 2 + cell_len(tail)
    room = max(0, min(inner, max(_NEAR, end_of_text)) - cell_len(tail))
    after = max(0, inner - room - cell_len(tail)) + _MARGIN
    left = (("time", ends + " "),) if ends else ()
    end = *left, (f"mark-{entry.state.value}", mark + " " if mark else ""), ("time", time + " " * after)
    return [*rows, (bar, *_padded(last, room), *end)]


def _inner(setting: Setting) -> int:
    return max(2, setting.width - len(_BAR) - _MARGIN)


def _picture(entry: EntryView, setting: Setting) -> list[Row]:
    shown = setting.pictures.get(entry.id) if entry.file is not None else None
    if shown is None:
        return []
    bar, inner = (f"bar-{_side(entry)}", _BAR), setting.width - len(_BAR)
    room, place = inner - _MARGIN, setting.placed.get(entry.id)
    rows = kitty.spans(place, room) if place is not None else map(spans, cells(shown, room))
    return [(bar, *_padded(tuple(row), inner)) for row in rows]


def _lines(entry: EntryView, setting: Setting) -> list[Line]:
    if entry.file is not None:
        said, key = instead_of_text(entry), action("save").key
        if entry.file.state is FileState.ASKS and key:
            said = _("{file}, {key} fetches it").format(file=said, key=key)
        return [Line((("text", said),))]
    if entry.kind is not EntryKind.TEXT:
        return [Line((("gone", _unshown(entry, setting.erasing)),))]
    return lines(safe(entry.text).rstrip() or _("(nothing that can be shown)"))


def _unshown(entry: EntryView, erasing: frozenset[str]) -> str:
    return instead_of_text(entry, erasing=entry.id in erasing)


def _laid(line: Line, width: int, setting: Setting) -> list[Row]:
    """One line in rows of at most `width` columns, what stands before each row included."""
    first, rest, spans, at = _cut(line, width)
    spans = _with_hits(spans, setting)
    inner = width - cell_len(first)
    rows: list[Row] = []
    for start, end in at:
        before = rest if rows else first
        row = tuple((style, with_room(part)) for style, part in between(spans, start, end))
        if line.code:
            row = _padded(row, inner, "block")
        rows.append(((line.lead, before), *row) if before else row)
    return rows


def _cut(line: Line, width: int) -> tuple[str, str, tuple[Span, ...], list[Cut]]:
    """What stands before the first row of a line and before the others, its text, and where that is cut."""
    first, rest = (line.first, line.rest) if width >= _HANGING_LEAST else ("", "")
    spans = line.spans if width >= _HANGING_LEAST else ((line.lead, line.first), *line.spans)
    text = "".join(part for _style, part in spans)
    inner = width - cell_len(first)
    return first, rest, spans, pieces(text, inner) if line.code else cuts(text, inner)


def _with_hits(spans: tuple[Span, ...], setting: Setting) -> tuple[Span, ...]:
    if setting.wanted is None:
        return spans
    return with_hits(spans, hits("".join(part for _style, part in spans), setting.wanted))


class Part(Struct, frozen=True):
    """The text in one row: its place in the shown text of the entry, and the column in which it begins.

    `ends`: where its pieces end, each of one style, which may have room behind them (`with_room`).
    """

    start: int
    end: int
    column: int
    ends: tuple[int, ...]


def shown_text(entry: EntryView, setting: Setting) -> tuple[str, tuple[Part, ...]]:
    """What an entry says as it is shown, without what parts its rows, and where each row has its part."""
    text, parts = "", list[Part]()
    for line in _lines(entry, setting):
        text += "\n" if parts else ""
        first, rest, spans, at = _cut(line, _inner(setting))
        text += first
        base = len(text)
        for number, (start, end) in enumerate(at):
            head = len(first) if number == 0 else 0  # what stands before a line is of its text
            before = 0 if number == 0 else cell_len(rest)
            drawn = between(_with_hits(spans, setting), start, end)
            ends = accumulate((len(part) for _style, part in drawn), initial=base + start)
            parts.append(Part(base + start - head, base + end, len(_BAR) + before, tuple(ends)))
        text += "".join(part for _style, part in spans)
    folded = len(parts) > _ROWS_MOST and entry.id not in setting.unfolded
    return text, tuple(parts[:_ROWS_FIRST] if folded else parts)


def _padded(row: Row, width: int, style: str = "text") -> Row:
    missing = width - _cells(row, cell_len)
    return (*row, (style, " " * missing)) if missing > 0 else row


def _cells(row: Row, measure: Callable[[str], int]) -> int:
    return sum(measure(text) for _style, text in row)


def _side(entry: EntryView) -> str:
    return "own" if entry.own else "theirs"


def _fill(text: str, width: int) -> str:
    return text + " " * max(0, width - cell_len(text))


def style_at(row: Row, column: int) -> str:
    at = _piece_at(row, column)
    return "" if at is None else row[at][0]


def address_at(entry: EntryView, rows: Sequence[Row], row: int, column: int) -> str:
    """The address at a column of one of the rows of an entry, safe; empty where there is none."""
    at = _piece_at(rows[row], column)
    if at is None or rows[row][at][0] != "link":
        return ""
    found = addresses(safe(entry.text))
    if _links(rows) != "".join(found):
        return found[0] if len(set(found)) == 1 else ""
    before = len(_links([*rows[:row], rows[row][:at]]))
    for address in found:
        if before < len(address):
            return address
        before -= len(address)
    return ""


def _piece_at(row: Row, column: int) -> int | None:
    for at, (_style, text) in enumerate(row):
        column -= cell_len(text)
        if column < 0:
            return at
    return None


def _links(rows: Sequence[Row]) -> str:
    """The pieces of addresses in rows, one after the other: every address whole."""
    return "".join(text for row in rows for style, text in row if style == "link")
