"""The rows around the reader: the same rows as all at once, only near the reader, and hits marked in them."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style
from textual.color import Color

from chat.interface import EntryView, Term, hits, parse_query, pattern
from tests.support.fakes.others import START
from tests.support.tui.driving import with_bob
from tests.support.tui.hostile import ATTACKS
from tests.support.tui.opened import received
from tui.conversation import Window
from tui.text.message_rows import Place, Setting, lead_rows, place, quoted, rows_of
from tui.text.safe import safe, widest
from tui.text.wrapping import cuts, pieces, wrap
from tui.widgets.history_layout import Sheet, Strips, StripStyle

SETTING = Setting(40, UTC, START.date())


def entries(texts: list[str]) -> tuple[EntryView, ...]:
    messenger, bob = with_bob()
    messenger.fill(bob.person, texts)
    return asyncio.run(messenger.history(bob.person, 10_000))


def window_of(texts: list[str]) -> Window:
    return Window(entries(texts), complete=True)


@given(st.integers(0, 59), st.integers(0, 30), st.integers(1, 30))
def test_what_is_laid_out_is_a_part_of_all_rows(around: int, above: int, below: int) -> None:
    window = window_of([f"entry {number} " + "word " * (number % 17) for number in range(60)])
    sheet = Sheet()
    sheet.lay_out(window, SETTING, around, above, below)
    shown = [found[2] for y in range(sheet.height) if (found := sheet.row(y))]
    below_first = [row for placed in _placed(window)[sheet.first :] for row in rows_of(*placed)]
    assert shown == below_first[: len(shown)]
    start = sheet.start(window.entries[around].id)
    assert start is not None
    assert start >= above or sheet.from_start
    assert sheet.height - start >= below or sheet.to_end


def _placed(window: Window) -> list[tuple[EntryView, Place, Setting]]:
    held = window.entries
    before = [None, *held[:-1]]
    return [(one, place(one, past, UTC), SETTING) for one, past in zip(held, before, strict=True)]


def test_a_mark_that_comes_later_is_laid_out_too() -> None:
    window, sheet = window_of(["one", "other"]), Sheet()
    sheet.lay_out(window, SETTING, 0, 0, 30)
    before = sheet.height
    window.mark_conflicting([window.entries[0].id])
    sheet.lay_out(window, SETTING, 0, 0, 30)
    assert sheet.height == before + 1


def test_only_what_is_near_is_laid_out() -> None:
    window = window_of(["word " * 400] * 300)
    sheet = Sheet()
    sheet.lay_out(window, SETTING, 150, 40, 60)
    assert len(sheet.shown) <= 4
    assert sheet.first >= 148


def test_rows_of_an_entry_are_told_from_what_parts_it_from_others() -> None:
    window = window_of(["first", "second"])
    sheet = Sheet()
    sheet.lay_out(window, SETTING, 0, 0, 10)
    first, second = window.entries
    assert sheet.span(first.id) == (3, 5)  # a blank, the day, a blank; then the name and the text
    assert sheet.span(second.id) == (5, 6)
    assert [found[1] for y in range(6) if (found := sheet.row(y))] == [-3, -2, -1, 0, 1, 0]
    assert sheet.spot(4) == (first.id, 4)
    assert sheet.row(6) is None
    assert sheet.span("unknown") is None


@pytest.mark.parametrize("day", [True, False])
@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("roomy", [True, False])
def test_the_lead_is_what_stands_before_the_name(day: bool, head: bool, new: bool, roomy: bool) -> None:
    entry = entries(["text"])[0]
    standing = Place(day=day, head=head or day)
    setting = Setting(40, UTC, START.date(), unread=entry.id if new else "", roomy=roomy)
    rows = rows_of(entry, standing, setting)
    lead = lead_rows(standing, new=new, roomy=roomy)
    assert all(not any(style.startswith("bar") for style, _text in row) for row in rows[:lead])
    assert rows[lead][0][0] == "bar-theirs"
    assert any(style == "unread" for row in rows for style, _text in row) == new


def test_what_an_entry_answers_stands_in_one_row() -> None:
    messenger, bob = with_bob()
    origin = received(messenger, bob, "first **line**\nsecond line " * 9)
    answer = received(messenger, bob, "yes", reply=origin.id)
    lost = received(messenger, bob, "no", reply="ff" * 32)
    window = Window([origin, answer, lost])
    assert quoted(origin, window) == ""
    assert quoted(answer, window).startswith("Bob: first line second line first line")
    assert quoted(lost, window) == "…"
    window.origins["ff" * 32] = None
    assert quoted(lost, window) == "a message that is not on this device"
    rows = rows_of(answer, Place(day=False, head=False), SETTING, quoted(answer, window))
    assert len(rows) == 2
    assert rows[0][1][0] == "reply"
    assert all(sum(cell_len(text) for _style, text in row) == 40 for row in rows)


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("width", [12, 40, 90])
def test_attack_79_rows_fill_the_width_with_markdown_and_hits(text: str, width: int) -> None:
    body = f"> {text}\n- {text}\n`{text}` **{text}**\n```\n{text}"
    entry = entries([body])[0]
    setting = Setting(width, UTC, START.date(), wanted=wanted("home", "red", "w", "नमस्ते", "一"))
    for row in rows_of(entry, Place(day=False, head=True), setting):
        assert sum(widest(part) for _style, part in row) >= width
        assert sum(len(part) for _style, part in row if "\n" in part or "\x1b" in part) == 0
        assert sum(cell_len(part) for _style, part in row) == width


@given(st.text(alphabet="ab -宽,。é\u0301🎉", max_size=60), st.integers(2, 20))
def test_rows_keep_all_but_blanks_and_fit(text: str, width: int) -> None:
    line = safe(text)
    whole = "".join(line[start:end] for start, end in cuts(line, width))
    assert whole.replace(" ", "") == line.replace(" ", "")
    assert all(widest(line[start:end]) <= width for start, end in cuts(line, width))
    assert "".join(line[start:end] for start, end in pieces(line, width)) == line
    assert wrap(line, width) == [line[start:end] for start, end in cuts(line, width)]


def wanted(*words: str) -> re.Pattern[str] | None:
    return pattern(Term(word) for word in words)


@pytest.mark.parametrize(
    ("typed", "text", "found"),
    [
        ("printer", "The Printer, printers", ["Printer"]),
        ("cafe", "Café cafe\u0301 cafés", ["Café", "cafe\u0301"]),
        ("火车", "下雨了但是火车很准时", ["火车"]),
        ("车", "火车很准时的车", ["车", "车"]),
        ("a.b", "a.b axb", ["a.b"]),
        ("two one", "two, one", ["two", "one"]),
        ("strasse", "Straße", ["Straße"]),
        ("meet*", "Meet at the meeting, Emmeet", ["Meet", "meet"]),
        ("cafe*", "cafe\u0301s", ["cafe\u0301"]),
        ("stras*", "Straße", ["Straß"]),
        ('"quick brown"', "Quick,\n brown quick red brown", ["Quick,\n brown"]),
        ('"quick b"*', "quick brown, quick b", ["quick b"]),
        ("안녕", "안녕하세요 안", ["안녕"]),
        ("가", "각 가 간", ["가"]),
        ("\u1100\u1161", "가 각", ["가"]),
        ("가", "\u1100\u1161\u11a8 \u1100\u1161", ["\u1100\u1161"]),
        ("か", "が か", ["か"]),
        ("ガ", "ｶﾞ カ か\u3099", ["ｶﾞ"]),
        ("文章。です", "文章です", ["文章です"]),
        ("iphone手机", "我的iPhone手机", ["iPhone手机"]),
        ("👍🎉", "👍🎉 👍❤🎉", ["👍🎉"]),
        ("from:me meet", "from me, we meet", ["meet"]),
    ],
)
def test_hits_are_what_the_search_found(typed: str, text: str, found: list[str]) -> None:
    """Without case and accents."""
    expression = pattern(parse_query(typed).terms)
    assert expression is not None
    assert [text[start:end] for start, end in hits(text, expression)] == found


@given(st.text(alphabet="aßé\u0301ｶﾞが각\u1161 ﬁ北👍.", max_size=12), st.text(max_size=40))
def test_hits_lie_apart_within_the_text(typed: str, text: str) -> None:
    expression = pattern([Term(typed, True)])
    found = hits(text + typed, expression) if expression is not None else []
    places = [place for hit in found for place in hit]
    assert places == sorted(places)
    assert all(0 <= start < end <= len(text + typed) for start, end in found)


def test_nothing_to_find_marks_nothing() -> None:
    assert wanted("", "?!") is None


def test_hits_are_pieces_of_their_own() -> None:
    entry = entries(["the **lab's printer** works"])[0]
    setting = Setting(40, UTC, START.date(), wanted=wanted("printer"))
    _bar, *row = rows_of(entry, Place(day=False, head=False), setting)[0]
    assert row[:4] == [("text", "the "), ("bold", "lab's "), ("hit", "printer"), ("text", " works")]


def test_a_hit_keeps_its_ground_under_the_cursor() -> None:
    styles = {"hit": Style(color="black", bgcolor="yellow"), "cursor": Style(bgcolor="blue")}
    styles["bar-own"] = Style(color="green")
    strips = Strips(lambda name: styles.get(name, Style()))
    strips.apply(StripStyle(Style(color="white", bgcolor="black"), 0, 9, (), Color(0, 0, 0)))
    for chosen, ground in ((True, "blue"), (False, "black")):
        shown = strips.of(((("bar-own", "▎ "), ("text", "said "), ("hit", "so")), chosen, None))
        looks = {one.text.strip(): one.style for one in shown if one.style is not None}
        assert looks["so"] == Style(color="black", bgcolor="yellow")
        assert looks["said"].bgcolor == Style(bgcolor=ground).bgcolor


def test_a_window_lets_go_of_what_is_far() -> None:
    for around, complete, last, first in (
        (0, True, False, 0),
        (600, False, False, 350),
        (1199, False, True, 700),
    ):
        window = window_of([f"entry {number}" for number in range(1200)])
        window.trim(around)
        assert (len(window), window.complete, window.last) == (500, complete, last)
        assert window.entries[0].text == f"entry {first}"
