"""What lies over the chat screen closes once, whatever comes to it after that."""

from __future__ import annotations

import re

from textual.screen import ModalScreen

from tests.architecture.imports import ROOT
from tests.support.tui.driving import burst, composer, until, with_bob_open
from tests.support.tui.opened import on_top, opened, own_kinds, reading
from tui.screens.chat.chat import ChatScreen
from tui.screens.chat.finding import JumpScreen
from tui.screens.dialog import ConfirmDialog, Dialog
from tui.screens.help import HelpDialog


async def test_keys_in_one_burst_leave_jump_mode_once() -> None:
    async with reading("Hello") as (pilot, _messenger, _):
        for keys in ("dd", "ddd", "xx", "xxxx"):
            await opened(pilot, "alt+j", JumpScreen)
            await burst(pilot, *keys)
            await on_top(pilot, ChatScreen)
            assert len(pilot.app.screen_stack) == 2
            assert composer(pilot).has_focus


async def test_a_dialog_that_ends_twice_gives_its_first_result_and_takes_no_other_screen_along() -> None:
    results: list[bool | None] = []
    async with with_bob_open() as (pilot, _messenger, _):
        below, above = HelpDialog(), ConfirmDialog("Really?", "")
        await pilot.app.push_screen(below)
        await pilot.app.push_screen(above, results.append)
        above.end(True)
        above.end(False)
        await until(pilot, lambda: bool(results))
        assert results == [True]
        assert pilot.app.screen is below


async def test_a_covered_dialog_closes_with_its_first_result_when_it_is_uncovered() -> None:
    results: list[bool | None] = []
    async with with_bob_open() as (pilot, _messenger, _):
        below, above = ConfirmDialog("Really?", ""), HelpDialog()
        await pilot.app.push_screen(below, results.append)
        await pilot.app.push_screen(above)
        below.end(True)
        below.end(False)
        assert pilot.app.screen is above
        above.end(None)
        above.end(None)
        await on_top(pilot, ChatScreen)
        await until(pilot, lambda: bool(results))
        assert results == [True]


def test_every_modal_screen_closes_in_the_one_way() -> None:
    own = own_kinds(ModalScreen)
    assert len(own) > 15
    assert all(kind is JumpScreen or issubclass(kind, Dialog) for kind in own)
    calls = [
        path.name
        for path in (ROOT / "tui").rglob("*.py")
        for _ in re.findall(r"\.(?:dismiss|action_dismiss)\(", path.read_text(encoding="utf-8"))
    ]
    assert calls == ["dialog.py"]
