"""Whether somebody looks at the terminal, from its events, its multiplexer and the time."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from tests.support.cli.terminals import python_at, terminal
from tui.attention import LASTS, Attention, shown_to_somebody

KEY = events.Key("a", "a")
MOVED = events.MouseMove(None, 1, 1, 0, 0, 0, False, False, False)
PRESSED = events.MouseDown(None, 1, 1, 0, 0, 1, False, False, False)


class Terminal:
    """An attention whose clock and clients a test moves."""

    def __init__(self) -> None:
        self.now = 50.0
        self.clients = True
        self.attention = Attention(lambda: self.now, lambda: self.clients)

    def heed(self, *all: events.Event) -> bool:
        for event in all:
            self.attention.heed(event)
        return self.attention.there


@pytest.mark.parametrize("sign", [KEY, MOVED, PRESSED, events.Paste("text"), events.AppFocus()])
def test_nobody_is_there_before_a_first_sign_nor_long_after_the_last(sign: events.Event) -> None:
    terminal = Terminal()
    assert not terminal.attention.there
    assert terminal.heed(sign)
    terminal.now += LASTS - 1
    assert terminal.attention.there
    terminal.now += 1
    assert not terminal.attention.there
    assert terminal.heed(sign)


def test_where_the_focus_is_elsewhere_only_its_return_or_a_press_counts() -> None:
    for back in (KEY, PRESSED, events.Paste("text"), events.AppFocus()):
        terminal = Terminal()
        assert not terminal.heed(KEY, events.AppBlur())
        assert not terminal.heed(MOVED)
        assert terminal.heed(back)
        assert terminal.heed(MOVED)


def test_after_a_client_detached_somebody_else_has_to_give_a_sign() -> None:
    terminal = Terminal()
    assert terminal.heed(KEY)
    terminal.clients = False
    assert not terminal.attention.there
    assert not terminal.heed(KEY)  # of a script
    terminal.clients = True
    assert not terminal.attention.there
    assert terminal.heed(KEY)


@pytest.mark.parametrize("name", ["TMUX", "STY", "STY at home"])
def test_a_multiplexer_says_by_its_socket_whether_a_client_is_attached(name: str, tmp_path: Path) -> None:
    socket = tmp_path / ".screen" / "12,3.pts-1.here" if name == "STY at home" else tmp_path / "12,3"
    socket.parent.mkdir(exist_ok=True)
    socket.touch(0o600)
    environment = {
        "TMUX": {"TMUX": f"{socket},99,0"},
        "STY": {"STY": socket.name, "SCREENDIR": str(tmp_path)},
        "STY at home": {"STY": socket.name, "HOME": str(tmp_path), "USER": "nobody-of-this-name"},
    }[name]
    shown = shown_to_somebody(environment)
    assert not shown()
    socket.chmod(0o700)
    assert shown()
    socket.unlink()  # nothing is known then
    assert shown()
    assert shown_to_somebody({})()


# Gives the foreground to a child, as a shell does after `bg`.
GOES_TO_THE_BACKGROUND = """
import os, signal, sys
from tui.attention import shown_to_somebody
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
shown = shown_to_somebody({})
before, other = shown(), os.fork()
if not other:
    signal.pause()
os.setpgid(other, other)
os.tcsetpgrp(0, other)
after = shown()
os.kill(other, signal.SIGKILL)
sys.exit(0 if before and not after else 1)
"""


def test_a_program_in_the_background_shows_nothing() -> None:
    with terminal() as (_person, program):
        assert python_at(program, "-c", GOES_TO_THE_BACKGROUND).wait(30) == 0
