"""Scrolling a history by the wheel and by its bar, and how many frames a page takes."""

from __future__ import annotations

from typing import Any

import pytest
from textual import events
from textual.geometry import Region
from textual.pilot import Pilot
from textual.scrollbar import ScrollBar
from textual.strip import Strip

from tests.tui.driving import chat, chatting, history, until, until_shown
from tests.tui.test_reading import long, numbers
from tui.widgets.bar import Bar


def cells(strips: list[Strip]) -> list[tuple[object, ...]]:
    """What is seen of each cell: of a blank only its ground."""
    seen: list[tuple[object, ...]] = []
    for text, style, _control in (segment for strip in strips for segment in strip):
        assert style is not None
        inks = (style.bgcolor, style.color) if style.reverse else (style.color, style.bgcolor)
        seen.append((text, inks[1:] if text == " " else inks))
    return seen


async def test_the_bar_looks_as_textual_draws_it() -> None:
    messenger, _, _ = await long(60)
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "entry 59.")
        bar = history(pilot).vertical_scrollbar
        assert isinstance(bar, Bar)
        whole = Region(0, 0, 1, bar.region.height)
        for place in range(history(pilot).max_scroll_y, -1, -3):
            history(pilot).scroll_to(y=place, animate=False)
            assert cells(bar.render_lines(whole)) == cells(ScrollBar.render_lines(bar, whole))
        part = Region(0, 3, 1, 4)
        assert cells(bar.render_lines(part)) == cells(ScrollBar.render_lines(bar, whole))[3:7]


async def test_the_wheel_goes_up_and_comes_back_to_the_end() -> None:
    messenger, bob, _ = await long(60)
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "entry 59.")
        top = numbers(pilot)[0]
        await wheel(pilot, events.MouseScrollUp, 3)
        await until(pilot, lambda: numbers(pilot)[0] < top)
        messenger.receive(bob.person, "one more")
        await until_shown(pilot, "1 new below")
        await wheel(pilot, events.MouseScrollDown, 10)
        assert "new below" not in await until_shown(pilot, "one more")


async def wheel(pilot: Pilot[None], way: type[events.MouseEvent], turns: int) -> None:
    left, top, *_ = history(pilot).region
    place = left + 10, top + 5
    for _turn in range(turns):
        event = way(None, *place, 0, 0, 0, False, False, False, *place)
        pilot.app.screen._forward_event(event)
        await pilot.pause()


async def test_the_bar_is_drawn_with_the_mouse() -> None:
    messenger, _, _ = await long(60)
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "entry 59.")
        bar = history(pilot).vertical_scrollbar
        await pilot.mouse_down(bar, offset=(0, bar.size.height - 2))
        await pilot.hover(bar, offset=(0, 0))
        await pilot.mouse_up(bar, offset=(0, 0))
        await until_shown(pilot, "entry 0.")
        await pilot.click(bar, offset=(0, bar.size.height - 1))
        await until(pilot, lambda: numbers(pilot)[0] > 0)


async def test_a_page_is_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    messenger, _, _ = await long()
    async with chatting(messenger) as pilot:
        await until(pilot, lambda: len(history(pilot).window) == 200)
        frames: list[object] = []
        display = pilot.app._display

        def noted(screen: Any, update: Any) -> None:
            frames.append(update)
            display(screen, update)

        monkeypatch.setattr(pilot.app, "_display", noted)
        for page in range(1, 5):
            top = numbers(pilot)[0]
            chat(pilot).action_older()
            await until(pilot, lambda top=top: numbers(pilot)[-1] < top)  # type: ignore[misc]
            await pilot.pause()
            assert len(frames) == page
