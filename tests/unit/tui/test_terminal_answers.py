"""What terminals send that nobody typed: answers, bytes that are no text, a paste without an end."""

from __future__ import annotations

import os
import pty
from importlib import import_module
from itertools import pairwise
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from textual import _parser, _time, events
from textual.message import Message

from tui import textual_fixes
from tui.textual_fixes import PASTE_MAX, PASTE_QUIET, PasteParser

ANSWERS = (
    "\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\",  # xterm: the colour of the ground
    "\x1b]4;1;rgb:cdcd/0000/0000\a",
    "\x1b]52;c;aGVsbG8gd29ybGQgdGhpcyBpcyBhIGxvbmcgc2VjcmV0\x1b\\",  # the clipboard
    "\x1b]lthe title of a window that is rather long\x1b\\",
    "\x1b]1337;ReportCellSize=17.50;8.00;2.0\x1b\\",  # iTerm2
    "\x1bP>|kitty(0.35.2)\x1b\\",  # XTVERSION
    "\x1bP1+r524742=382f382f38\x1b\\",  # XTGETTCAP
    "\x1bP1$r0;1m\x1b\\",  # DECRQSS
    "\x1bP!|7E565445\x1b\\",  # DA3
    "\x1b_Gi=4294967295,I=13;ENOENT:Put command refers to non-existent image\x1b\\",  # kitty
    "\x1b[?65;1;2;3;4;6;8;9;15;16;17;18;21;22;28;29;42;52c",  # DA1
    "\x1b[>41;388;0c",  # DA2
    "\x1b[4;2$y",  # DECRPM
    "\x1b[?24;80;1R",  # DECXCPR
    "\x1b[?1u",  # the keyboard of kitty
    "\x1b[4;1000;2000t",  # the window in pixels
    "\x1b[?997;1n",  # light or dark
    "\x1b[0n",
    "\x1b[>4;2m",
)


class Keyboard:
    """A parser whose clock stands still between its inputs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = 1000.0
        for module in (_parser, _time):
            monkeypatch.setattr(module, "get_time", lambda: self._now)
        self._parser = PasteParser()
        self.seen: list[str] = []

    def type(self, *pieces: str) -> Keyboard:
        for piece in pieces:
            self._keep(self._parser.feed(piece))
        return self

    def wait(self, seconds: float) -> Keyboard:
        self._now += seconds
        self._keep(self._parser.tick())
        return self

    def _keep(self, found: Any) -> None:
        self.seen += [_said(event) for event in found]


def _said(event: Message) -> str:
    if isinstance(event, events.Paste):
        return f"paste {event.text!r}"
    return event.key if isinstance(event, events.Key) else type(event).__name__


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_to_another_program_is_not_typed_wherever_it_is_cut(
    answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Keyboard(monkeypatch).type("a", answer, "b").seen == ["a", "b"]
    assert Keyboard(monkeypatch).type("a", *answer, "b").seen == ["a", "b"]
    for at in range(3, len(answer)):
        late = Keyboard(monkeypatch).type(f"a{answer[:at]}").wait(0.5).type(f"{answer[at:]}b")
        assert late.seen == ["a", "b"], f"cut at {at}"


def test_answers_leave_the_keys_between_them_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for one, other in pairwise(ANSWERS):
        keys = Keyboard(monkeypatch).type(f"{one}\x1b[A{other}\x1b[200~x\x1b[201~\r\x1b[[A\x1bOP\x1b[97;5u")
        assert keys.seen == ["up", "paste 'x'", "enter", "f1", "f1", "ctrl+a"]


@pytest.mark.parametrize(
    ("begun", "rest", "keys"),
    [
        ("\x1b]11;rgb:1e", "\x03", ["ctrl+c"]),
        ("\x1b]11;rgb:1e", "\r", ["enter"]),
        ("\x1b[?65;1", "\x1b[A", ["up"]),
        ("\x1b[?65;1", "\t", ["tab"]),
        ("\x1bP>|kit", "\x1b[A", ["up"]),
    ],
)
def test_an_answer_without_an_end_holds_no_key(
    begun: str, rest: str, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Keyboard(monkeypatch).type(begun, rest).seen == keys
    assert Keyboard(monkeypatch).type(begun).wait(1.0).type("b").seen == ["b"]


def test_alt_with_what_begins_an_answer_is_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for begin, key in (
        ("]", "right_square_bracket"),
        ("P", "alt+shift+p"),
        ("[", "left_square_bracket"),
        ("_", "underscore"),
    ):
        assert Keyboard(monkeypatch).type(f"\x1b{begin}").wait(0.2).type("1").seen == [key, "1"]
    assert Keyboard(monkeypatch).type("\x1b").wait(0.2).type("]1").seen == [
        "escape",
        "right_square_bracket",
        "1",
    ]


@pytest.mark.parametrize("way", ["\x1b", "\x03", "\x1b[27u", "\x1b[99;5u"])
def test_a_paste_without_an_end_is_left_by_a_key(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Keyboard(monkeypatch).type("\x1b[200~one").wait(PASTE_QUIET)
    assert held.seen == ["paste 'one'"]
    held.type("two\r").wait(PASTE_QUIET)
    assert held.seen[1:] == ["paste 'two\\r'"]
    held.type(way).wait(0.2).type("x", "\r")
    assert [one for one in held.seen[2:] if one != "paste ''"] == ["x", "enter"]


def test_what_a_paste_holds_leaves_it_never(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key within, and after a stall: only one that is alone after it would be a key."""
    slow = Keyboard(monkeypatch).type("\x1b[200~one\x03", "\x03", "\x1b").wait(0.5)
    slow.type("\rtwo").wait(PASTE_QUIET).type("\x03\rthree").wait(PASTE_QUIET).type("\x1b[201~\r")
    assert slow.seen == ["paste 'one\\x03\\x03\\rtwo'", "paste '\\x03\\rthree'", "paste ''", "enter"]


def test_a_paste_has_an_end_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keyboard(monkeypatch).type("\x1b[200~", *["x" * 4096] * (PASTE_MAX // 4096 + 2), "\x1b[201~\r")
    assert [len(one) for one in keys.seen] == [len("paste ''") + PASTE_MAX, len("enter")]


@pytest.mark.parametrize(
    "size", ["48;9;9;0;0", "48;0;0;0;0", "48;0;80;100;100", "48;99999;99999;1;1", "48;50;100;500;1000"]
)
def test_no_size_of_a_window_ends_the_reading(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual divides by the pixels that a terminal reports, and some report none."""
    seen = Keyboard(monkeypatch).type(f"\x1b[{size}t", "\x1b[<35;5;5M", "a").seen
    assert seen[-1] == "a"
    assert ("Resize" in seen) == (size in ("48;9;9;0;0", "48;50;100;500;1000"))


def test_bytes_that_are_no_text_end_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a terminal of another encoding, or the mouse in the form of X10, closed the interface."""
    driver = import_module("textual.drivers.linux_driver")
    monkeypatch.setattr(driver, "XTermParser", driver.XTermParser)
    monkeypatch.setattr(driver, "getincrementaldecoder", driver.getincrementaldecoder)
    textual_fixes.use_paste_parser()
    ours, theirs = pty.openpty()
    seen: list[str] = []
    done = Event()

    def process(event: Message) -> None:
        seen.append(_said(event))
        if seen[-1] == "z":
            done.set()

    try:
        os.write(ours, b"a\xff\x1b[M \xf0!b\xc3\xa9z\n")
        reader = SimpleNamespace(fileno=theirs, _debug=False, exit_event=done, process_message=process)
        driver.LinuxDriver.run_input_thread(reader)
    finally:
        os.close(ours)
        os.close(theirs)
    assert seen[0] == "a"
    assert {"b", "z"} <= set(seen)
