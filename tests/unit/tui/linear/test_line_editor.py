"""The line that is being typed: keys and what they leave, on the screen as in the text."""

from __future__ import annotations

import pytest

from tui.linear.output import LINE_MAX, LineEditor


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
    editor = LineEditor()
    assert editor.feed(keys.encode()) == echo
    assert (list(editor.lines), editor.text) == (lines, text)


@pytest.mark.parametrize("keys", ["宽é👩\u200d🚀\x1b[1;5Aa\x7fb\n", "\x1bOQx\x15\x12\n"])
def test_keys_may_come_in_any_pieces(keys: str) -> None:
    whole, apart = LineEditor(), LineEditor()
    shown = whole.feed(keys.encode())
    assert "".join(apart.feed(bytes([byte])) for byte in keys.encode()) == shown
    assert apart.lines == whole.lines


def test_of_a_hidden_line_nothing_is_shown_but_its_end() -> None:
    editor = LineEditor()
    editor.feed(b"seen")
    editor.forget()
    editor.hidden = True
    assert editor.feed(b"secrex\x7ft\x12\n") == "\n\n"
    assert list(editor.lines) == ["secret"]
    editor.feed(b"more")
    assert (editor.shown, editor.busy) == ("", False)


def test_a_line_rests_until_the_next_key() -> None:
    editor = LineEditor()
    assert not editor.busy
    editor.feed(b"x")
    assert editor.busy
    editor.resting = True
    assert (editor.shown, editor.busy) == ("x", False)
    editor.feed(b"y")
    assert editor.busy


def test_what_is_no_text_or_has_no_end_is_marked() -> None:
    editor = LineEditor()
    editor.feed(b"\xff\n")
    assert editor.lines.pop() == "\ufffd"
    editor.feed(b"x" * (LINE_MAX + 10) + b"\n")
    assert editor.lines.pop() == "x" * LINE_MAX + "\ufffd"
