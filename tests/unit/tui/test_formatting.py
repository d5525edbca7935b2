"""The pure parts: peer text made safe, rows that fill their width, addresses, counters."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from chat.interface import EntryKind, EntryState, EntryView
from tests.support.fakes.others import START
from tests.support.tui.hostile import ATTACKS
from tui.text.formatting import counter, day_title, parse_address, strength
from tui.text.message_rows import Setting, place, rows_of
from tui.text.safe import attaches, safe, safe_line, safe_name, shorten, widest, with_room, without_controls
from tui.text.wrapping import breaks, wrap

# Text as an attacker composes it: anything, with the dangerous characters made frequent.
HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x1b\x9b\x07\x00\r\n\t\u200d\u200b\u202e\ufe0f\u0301\u0903\u094d👩🏽🇩\u2028宽W "),
    ),
    max_size=60,
)


def dangerous(character: str) -> bool:
    if character == "\n":
        return False
    category = unicodedata.category(character)
    return category in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or 0xFE00 <= ord(character) <= 0xFE0F


@given(HOSTILE)
def test_safe_text_holds_nothing_dangerous_and_stays_as_it_is(text: str) -> None:
    made = safe(text)
    assert not [character for character in made if dangerous(character)]
    assert safe(made) == made


@given(HOSTILE)
def test_a_safe_line_is_one_line_and_a_name_is_short(text: str) -> None:
    assert "\n" not in safe_line(text)
    assert 0 < widest(safe_name(text)) <= 24


@given(HOSTILE)
def test_no_mark_stands_without_a_letter_and_no_chain_is_long(text: str) -> None:
    chain, most = 0, 0
    for character in safe(text):
        if attaches(character):
            chain += 1
            assert chain <= most
        else:
            chain, most = 0, 0 if character in "\n " else 7 if "\u0f00" <= character <= "\u109f" else 4


@given(HOSTILE, st.integers(2, 40))
def test_wrapped_rows_fit_and_lose_no_word(text: str, width: int) -> None:
    made = safe(text)
    rows = wrap(made, width)
    assert all(widest(row) <= width for row in rows)
    assert "".join("".join(rows).split()) == "".join(made.split())
    for line in made.split("\n"):
        places = [0, *breaks(line, width), len(line)]
        written = [line[start:end] for start, end in pairwise(places)]
        assert all(widest(row) <= width for row in written)
        assert width < 10 or not any(attaches(row[0]) for row in (*rows, *written) if row)


@given(HOSTILE, HOSTILE, st.integers(24, 90), st.booleans())
def test_rows_of_an_entry_fill_exactly_the_width(text: str, author: str, width: int, own: bool) -> None:
    entry = EntryView(
        "a", "b", author, own, START, EntryKind.TEXT, text, EntryState.QUEUED if own else EntryState.RECEIVED
    )
    setting = Setting(width, UTC, date(2026, 11, 24))
    for row in rows_of(entry, place(entry, None, UTC), setting):
        assert sum(cell_len(piece) for _, piece in row) == width


@given(HOSTILE, st.integers(0, 30))
def test_shortened_text_fits(text: str, cells: int) -> None:
    assert widest(shorten(safe_line(text), cells)) <= cells


def test_words_stay_readable() -> None:
    text = "Grüße, Žofie! 你好，世界 안녕하세요 नमस्ते ශ්රී ලංකා مرحبا Tiếng Việt x² ≈ 4 → 5 ကျွှို့ བསྒྲུབས"
    assert safe(text) == text
    assert safe("\u1112\u1161\u11ab\u1100\u1173\u11af") == "\u1112\u1161\u11ab\u1100\u1173\u11af"
    assert safe("می\u200cخواهم") == "میخواهم"
    assert safe("ශ\u0dca\u200dර\u0dd3") == "ශ\u0dcaර\u0dd3"  # a joiner between letters takes no letter along
    assert safe("👨‍👩‍👧 fam") == "👨 fam"
    # Nor a full stop, but the sign of a shaken head.
    assert safe("ه\u200d.ق 🙂\u200d\u2194\ufe0f") == "ه.ق 🙂"


def test_text_that_a_terminal_may_make_longer_gets_room_behind_it() -> None:
    for text, room in (("plain", ""), ("宽", ""), ("को", " "), ("☝ x", " "), ("\u302e", "  ")):
        assert with_room(text) == text + room


def test_a_row_that_is_written_keeps_its_blanks() -> None:
    assert breaks("hello world  foo", 7) == [6, 13]
    assert breaks("aaaaaaaaaaaaaa bb", 5) == [5, 10, 15]
    assert breaks("你好世界。再见", 8) == [3]
    assert wrap("你好世界。再见", 8) == ["你好世", "界。再见"]  # not before a full stop


def test_attack_14_names_of_nothing_are_said_to_be_nameless() -> None:
    for name in ("", "   ", "\u200b\u2060", "\u3164\u115f", "\x1b\x07", "\u202e"):
        assert safe_name(name) == "(no name)"


@pytest.mark.parametrize("label", ATTACKS)
def test_attack_79_each_known_attack_is_made_harmless(label: str) -> None:
    made = safe(ATTACKS[label])
    assert not [character for character in made if dangerous(character)]
    assert "\x1b" not in safe_name(ATTACKS[label])


def test_an_entry_of_a_later_version_is_not_shown() -> None:
    entry = EntryView("a", "b", "Bob", False, START, EntryKind.UNKNOWN, "secret", EntryState.RECEIVED)
    rows = rows_of(entry, place(entry, None, UTC), Setting(80, UTC, date(2026, 11, 24)))
    text = "".join(piece for row in rows for _, piece in row)
    assert "written by a newer Parlour" in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.168.1.20:4747", ("192.168.1.20", 4747)),
        ("192.168.1.20", ("192.168.1.20", 4747)),
        (" [fe80::1%eth0]:99 ", ("fe80::1%eth0", 99)),
        ("[::1]", ("::1", 4747)),
        ("fe80::1%eth0", ("fe80::1%eth0", 4747)),
        ("", None),
        (":4747", None),
        ("host:0", None),
        ("host:65536", None),
        ("host:x", None),
        ("host:٣", None),
    ],
)
def test_addresses(text: str, address: tuple[str, int] | None) -> None:
    assert parse_address(text) == address


def test_days_counters_and_hints() -> None:
    today = date(2026, 11, 24)
    titles = [day_title(day, today) for day in (today, date(2026, 11, 23), date(2026, 11, 1))]
    assert titles == ["Today", "Yesterday", "Sunday, 1 November 2026"]
    assert counter(100) == ""
    assert counter(16_384) == "16,384 of 16,384 characters"
    assert counter(16_390) == "6 characters too many"
    for text, said in (("", ""), ("aaaaaaaaaaaa", "Weak"), ("abcdefgh1", "Fair"), ("a b c d e f", "Strong")):
        assert re.split("[.:]", strength(text))[0] == said


def test_a_paste_keeps_its_lines_and_loses_its_controls() -> None:
    assert without_controls("a\r\nb\rc\x1b[31m\td\x07") == "a\nb\nc[31m\td"


@pytest.mark.parametrize("width", range(8, 24))
def test_no_row_ends_with_what_opens_or_begins_with_what_closes(width: int) -> None:
    rows = wrap("没有收到（虚拟网卡）的(回答)，他说“明天再来”。foo(bar) 也是", width)
    assert not [row for row in rows if row[-1] in "（(“" or row[0] in "）)”。，"]
    assert any("foo(bar)" in row for row in rows)
