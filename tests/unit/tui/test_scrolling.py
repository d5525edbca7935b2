"""A history and the mouse: wheel, bar, clicks; and how many frames a page takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from textual import events
from textual.geometry import Region
from textual.pilot import Pilot
from textual.scrollbar import ScrollBar
from textual.strip import Strip

from tests.support.tui.driving import chat, history, rows, shown, until, until_shown, with_bob
from tests.support.tui.opened import click, entries, reading, received
from tests.unit.tui.test_reading import numbers
from tests.unit.tui.test_sheet import SETTING
from tui.text.markdown import links
from tui.text.message_rows import Place, address_at, rows_of, style_at
from tui.text.safe import safe
from tui.widgets.history_layout import Bar


def cells(strips: list[Strip]) -> list[tuple[object, ...]]:
    """What is seen of each cell: of a blank only its ground."""
    seen: list[tuple[object, ...]] = []
    for text, style, _control in (segment for strip in strips for segment in strip):
        assert style is not None
        inks = (style.bgcolor, style.color) if style.reverse else (style.color, style.bgcolor)
        seen.append((text, inks[1:] if text == " " else inks))
    return seen


async def test_the_bar_looks_as_textual_draws_it() -> None:
    async with reading(count=60) as (pilot, _messenger, _):
        bar = history(pilot).vertical_scrollbar
        assert isinstance(bar, Bar)
        whole = Region(0, 0, 1, bar.region.height)
        for place in range(history(pilot).max_scroll_y, -1, -3):
            history(pilot).scroll_to(y=place, animate=False)
            assert cells(bar.render_lines(whole)) == cells(ScrollBar.render_lines(bar, whole))
        part = Region(0, 3, 1, 4)
        assert cells(bar.render_lines(part)) == cells(ScrollBar.render_lines(bar, whole))[3:7]


async def test_the_wheel_goes_up_and_comes_back_to_the_end() -> None:
    async with reading(count=60) as (pilot, messenger, bob):
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
    async with reading(count=60) as (pilot, _messenger, _):
        bar = history(pilot).vertical_scrollbar
        await pilot.mouse_down(bar, offset=(0, bar.size.height - 2))
        await pilot.hover(bar, offset=(0, 0))
        await pilot.mouse_up(bar, offset=(0, 0))
        await until_shown(pilot, "entry 0.")
        await pilot.click(bar, offset=(0, bar.size.height - 1))
        await until(pilot, lambda: numbers(pilot)[0] > 0)


async def test_a_page_is_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    async with reading(count=2000) as (pilot, _messenger, _):
        await until(pilot, lambda: len(history(pilot).window) == 200)
        frames: list[object] = []
        display = pilot.app._display

        def noted(screen: Any, update: Any) -> None:
            frames.append(update)
            display(screen, update)

        monkeypatch.setattr(pilot.app, "_display", noted)
        for page in range(1, 5):
            top = numbers(pilot)[0]
            chat(pilot).action_do("older")
            await until(pilot, lambda top=top: numbers(pilot)[-1] < top)  # type: ignore[misc]
            await pilot.pause()
            assert len(frames) == page


async def test_clicks_on_what_is_new_on_an_answer_and_on_addresses_do_what_one_expects() -> None:
    one, two = "https://a.example/1", "https://a.example/" + "way/" * 40 + "2"
    async with reading(count=300) as (pilot, messenger, bob):
        messenger.receive(bob.person, f"see {one}. and {two}", reply=entries(messenger, bob)[3].id)
        await click(pilot, one)
        # The line takes a row of the history: places are found after it.
        await until(pilot, lambda: "Copied" in shown(pilot) and history(pilot).size.height == 17)
        await until(pilot, lambda: "way/2" in rows(pilot)[history(pilot).region.bottom - 1])
        for text, right, address in (("see", 1, one), (one, len(one), one), ("way/2", 4, two), (one, 3, one)):
            await click(pilot, text, right)
            await until(pilot, lambda address=address: pilot.app.clipboard == address)  # type: ignore[misc]
        await click(pilot, "https://a.example/way", 1)
        assert "Copied: https://a.example/way/" in await until_shown(pilot, "Copied")
        assert pilot.app.clipboard == two
        await click(pilot, "Bob: entry 3.")
        await until_shown(pilot, "█ entry 3.")
        messenger.receive(bob.person, "just now")
        await until_shown(pilot, "1 new below")
        await click(pilot, "1 new below")
        await until_shown(pilot, "just now")


@given(
    st.lists(
        st.sampled_from(["https://a.example/x", "https://a.example/x1", "word", "- ", "\n", "> "]), max_size=9
    ),
    st.integers(4, 40),
)
def test_every_piece_of_an_address_leads_to_it(parts: list[str], width: int) -> None:
    entry = received(*with_bob(), "x " + " ".join(parts))
    setting = replace(SETTING, width=width, unfolded=frozenset((entry.id,)))
    laid = rows_of(entry, Place(day=False, head=False), setting)
    found: list[str] = []
    for at, row in enumerate(laid):
        column = 0
        for style, text in row:
            address = address_at(entry, laid, at, column)
            assert (address != "") == (style == "link")
            if style == "link":
                assert style_at(row, column) == "link"
                assert text in address
                found.append(address)
            column += len(text)
    assert list(dict.fromkeys(found)) == links(safe(entry.text))
