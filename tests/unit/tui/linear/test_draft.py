"""The line that is being typed: keys and what they leave, on the screen as in the text."""

from __future__ import annotations

import pytest

from tui.linear.voice import DRAFT_MAX, Draft


@pytest.mark.parametrize(
    ("keys", "lines", "text", "echo"),
    [
        ("hello\n", ["hello"], "", "hello\n"),
        ("a\rb\n\nc", ["a", "b", ""], "c", "a\nb\n\nc"),
        ("ab\x7f\bc", [], "c", "ab\b \b\b \bc"),
        ("\x7f\x7f", [], "", ""),
        ("宽\x7f", [], "", "宽\b \b\b \b"),
        ("ze\u0301\u0302\x7f", [], "z", "ze\u0301\u0302\b \b"),
        ("one two  \x17", [], "one", "one two  " + "\b \b" * 6),
        ("one\x15two", [], "two", "one" + "\b \b" * 3 + "two"),
        ("one\x12", [], "one", "one\none"),
        ("x\x04", [], "x", "x"),
        ("\x04", [None], "", ""),
        ("\x1b[A\x1b[1;5D\x1bOP\x1bx\x1b[3~a", [], "a", "a"),
        ("a\tb\x01\x07\x85\x9b", [], "a    b", "a    b"),
    ],
)
def test_keys(keys: str, lines: list[str | None], text: str, echo: str) -> None:
    draft = Draft()
    assert draft.feed(keys.encode()) == echo
    assert (list(draft.lines), draft.text) == (lines, text)


@pytest.mark.parametrize("keys", ["宽é👩\u200d🚀\x1b[1;5Aa\x7fb\n", "\x1bOQx\x15\x12\n"])
def test_keys_may_come_in_any_pieces(keys: str) -> None:
    whole, apart = Draft(), Draft()
    shown = whole.feed(keys.encode())
    assert "".join(apart.feed(bytes([byte])) for byte in keys.encode()) == shown
    assert apart.lines == whole.lines


def test_of_a_hidden_line_nothing_is_shown_but_its_end() -> None:
    draft = Draft()
    draft.feed(b"seen")
    draft.forget()
    draft.hidden = True
    assert draft.feed(b"secrex\x7ft\x12\n") == "\n\n"
    assert list(draft.lines) == ["secret"]
    draft.feed(b"more")
    assert (draft.shown, draft.busy) == ("", False)


def test_a_line_rests_until_the_next_key() -> None:
    draft = Draft()
    assert not draft.busy
    draft.feed(b"x")
    assert draft.busy
    draft.resting = True
    assert (draft.shown, draft.busy) == ("x", False)
    draft.feed(b"y")
    assert draft.busy


def test_what_is_no_text_or_has_no_end_is_marked() -> None:
    draft = Draft()
    draft.feed(b"\xff\n")
    assert draft.lines.pop() == "\ufffd"
    draft.feed(b"x" * (DRAFT_MAX + 10) + b"\n")
    assert draft.lines.pop() == "x" * DRAFT_MAX + "\ufffd"
