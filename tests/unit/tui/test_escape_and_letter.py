"""Esc and a letter at once: Alt with the letter, but where the terminal speaks the protocol of kitty."""

from __future__ import annotations

import pytest

from tests.support.tui.driving import chatting, history, until, with_bob
from tui.actions import HINTED_ON_ENTRY, action
from tui.textual_fixes import ASK_KITTY, PasteParser
from tui.widgets.lines import KeyLine

ANSWER = "\x1b[?1u"


def keys(*pieces: str) -> list[str]:
    parser = PasteParser()
    return [getattr(event, "key", "") for piece in pieces for event in parser.feed(piece)]


@pytest.mark.parametrize("pieces", [("\x1bd",), ("\x1b", "d"), ("\x1b[27u", "d"), ("\x1b[27ud",)])
def test_it_is_no_alt_where_the_terminal_speaks_the_protocol(pieces: tuple[str, ...]) -> None:
    assert keys(ANSWER, *pieces) == ["escape", "d"]
    assert keys(ANSWER, "\x1b[100;3u", "\x1b", "[A", "\x1bOP") == ["alt+d", "up", "f1"]


def test_elsewhere_it_is_alt() -> None:
    assert keys("\x1bd") == ["alt+d"]
    assert keys("\x1b[?0u", "\x1bd") == ["alt+d"]


def test_esc_and_enter_reach_the_program_as_that_protocol_sends_them() -> None:
    assert keys("\x1b[27u", "\x1b[13u", "\x1b[9u") == ["escape", "enter", "tab"]


def test_whether_it_speaks_it_is_asked_for_by_the_sequence_of_the_protocol() -> None:
    assert ASK_KITTY == "\x1b[?u"
    assert keys(ANSWER) == []


async def test_the_key_line_shows_the_keys_of_what_has_the_focus() -> None:
    messenger, bob = with_bob()
    messenger.receive(bob.person, "hello")
    async with chatting(messenger, (120, 30)) as pilot:
        line = pilot.app.screen.query_one(KeyLine)

        def titles() -> list[str]:
            return [action(name).title for _start, _end, name in line._places]

        assert action("switch").title in titles()
        await pilot.press("ctrl+up")
        await until(pilot, lambda: history(pilot).has_focus)
        await until(pilot, lambda: titles() == [action(name).title for name in HINTED_ON_ENTRY])
        await pilot.press("escape")
        await until(pilot, lambda: action("switch").title in titles())
        await pilot.press("f1")
        await until(pilot, lambda: titles() == [action(name).title for name in ("help", "lock", "quit")])
        await pilot.press("escape")
        await until(pilot, lambda: action("switch").title in titles())
