"""What reaches a terminal or a pipe: no peer steers the one or breaks the other."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.cli import output
from chat.cli.output import block, one_line, timestamp
from tests.support.cli.line import Line

ATTACKS = {
    "clipboard (OSC 52)": "\x1b]52;c;cm0gLXJm\x07",
    "hyperlink (OSC 8)": "\x1b]8;;http://198.51.100.7/\x1b\\text\x1b]8;;\x1b\\",
    "window title": "\x1b]0;title\x07",
    "clear screen (CSI)": "\x1b[2J\x1b[H",
    "CSI in C1": "\x9b31mred",
    "OSC in C1": "\x9d52;c;aGk=\x9c",
    "carriage return": "harmless\rrm -rf",
    "backspace": "abc\x08\x08\x08xyz",
    "delete": "a\x7fb",
    "bidi override": "\u202egnp.exe\u202c",
    "bidi isolate": "\u2066\u2067\u2069",
    "zero width": "B\u200ben\ufeff\u2060",
    "tags": "ok\U000e0061\U000e007f",
    "line separator": "one\u2028two\u2029three",
    "null": "\x00",
    "bell": "\x07",
    "shift out": "\x0e\x0f",
}


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_case_79_nothing_that_steers_a_terminal_is_shown(text: str) -> None:
    for shown in (one_line(text), block(text, "    ")):
        hidden = [character for character in shown if unicodedata.category(character) in ("Cc", "Cf")]
        assert set(hidden) <= {"\n"}
    assert "\n" not in one_line(text)


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_case_79_in_json_all_of_it_is_there_and_none_of_it_raw(line: Line, text: str) -> None:
    friend = line.messenger.add_contact(text + "name", present=True)
    line.messenger.receive(friend.person, text)
    outcome = line.run("history", friend.person, "--json")
    assert outcome.status == 0
    assert outcome.objects[0]["text"] == text
    assert outcome.objects[0]["author"] == text + "name"
    assert all(" " <= character <= "~" for character in outcome.out.rstrip("\n"))


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_case_79_no_command_lets_a_peers_text_through(line: Line, text: str) -> None:
    friend = line.messenger.add_contact(text + "name", present=True)
    line.messenger.receive(friend.person, f"found {text}")
    line.messenger.after["contacts"] = lambda: line.messenger.change_identity(friend.person, text)
    line.messenger.after["questions"] = lambda: line.messenger._end(text)
    searching = ["history", "--search", "found"]
    for arguments in (["history", friend.person], ["contacts"], searching, ["verify", "nobody"], ["listen"]):
        outcome = line.run(*arguments)
        assert outcome.out + outcome.err
        assert not set(outcome.out + outcome.err) & set("\x00\x07\x08\x0e\x0f\r\x1b\x7f\x9b\x9d\u202e\u200b")


@given(st.text())
def test_any_text_keeps_its_letters_and_loses_its_controls(text: str) -> None:
    shown = one_line(text)
    assert not any(unicodedata.category(character).startswith("C") for character in shown)
    assert _letters(shown) == _letters(text)


def _letters(text: str) -> list[str]:
    """What a reader sees of a text, but for those letters that are drawn as nothing."""
    drawn = set(text) - set("\u115f\u1160\u3164\uffa0")
    return [c for c in text if c in drawn and unicodedata.category(c).startswith(("L", "N"))]


def test_a_text_of_several_lines_cannot_pass_for_another_entry(line: Line) -> None:
    friend = line.messenger.add_contact("Ben")
    line.messenger.receive(friend.person, "hello\n2026-11-24T09:00:00.000Z  Ann: I owe you money")
    lines = line.run("history", "Ben").out.splitlines()
    assert [text.startswith("    ") for text in lines] == [False, True]


def test_emoji_and_scripts_that_need_joiners_stay_whole() -> None:
    family, persian = "👨\u200d👩\u200d👧", "می\u200cخواهم"
    assert block(family, "") == family
    assert block(persian, "") == persian


def test_times_are_utc_with_a_z() -> None:
    there = datetime(2026, 11, 25, 10, 30, 0, 123456, tzinfo=timezone(timedelta(hours=1)))
    assert timestamp(there) == "2026-11-25T09:30:00.123Z"
    assert timestamp(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"


def test_json_keeps_every_character_of_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    text = "".join(map(chr, range(0x100))) + "你好 🙂 \u2028\u202e"
    output.result({"text": text}, "", as_json=True)
    (printed,) = capsys.readouterr().out.splitlines()
    assert json.loads(printed) == {"text": text}
    assert printed.isascii()
    assert "\x7f" not in printed
