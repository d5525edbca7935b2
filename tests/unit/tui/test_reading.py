"""Going about in a history of any length: pages, jumps, the cursor on entries and what it does."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from rich.segment import Segment
from textual.geometry import Region
from textual.pilot import Pilot

from chat.interface import EntryState, EntryView, parse_query
from tests.support.fakes.others import START
from tests.support.tui.driving import chat, chatting, composer, history, shown, until, until_shown, with_bob
from tests.support.tui.hostile import ATTACKS
from tests.support.tui.opened import entries, on_top, opened, reading, received
from tui.conversation import HELD_MAX
from tui.screens.details import DetailsDialog
from tui.screens.dialog import MenuDialog, parse_day
from tui.text.message_rows import Row, rows_of
from tui.text.safe import exact
from tui.widgets.history import History


def numbers(pilot: Pilot[None]) -> list[int]:
    """The numbers of the entries in sight."""
    return [int(number) for number in re.findall(r"[▎█] entry (\d+)\.", shown(pilot))]


def segments(pilot: Pilot[None]) -> Iterator[Segment]:
    for strip in pilot.app.screen._compositor.render_strips():
        yield from strip


async def test_pages_go_on_in_both_directions_and_little_is_held() -> None:
    async with reading(count=2000) as (pilot, _messenger, _):
        seen: list[int] = []
        while not seen or seen[-1] > 900:
            seen += reversed(numbers(pilot))
            chat(pilot).action_do("older")
            await pilot.pause()
            assert len(history(pilot).window) <= HELD_MAX
        assert set(range(900, 2000)) <= set(seen)
        assert not history(pilot).window.last
        back: list[int] = []
        while not back or back[-1] < 1999:
            back += numbers(pilot)
            chat(pilot).action_do("newer")
            await pilot.pause()
        assert set(range(901, 2000)) <= set(back)
        assert history(pilot).window.last


async def test_keys_that_come_before_a_page_are_done_when_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    messenger, bob = with_bob()
    messenger.fill(bob.person, [f"entry {number}." for number in range(2000)])
    read, there = messenger.history, asyncio.Event()

    async def slowly(*asked: Any, **place: Any) -> tuple[EntryView, ...]:
        if len(asked) > 2 or place:
            await there.wait()
        return await read(*asked, **place)

    monkeypatch.setattr(messenger, "history", slowly)
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "entry 1999.")
        while history(pilot).scroll_offset.y:
            chat(pilot).action_do("older")
        chat(pilot).action_do("older")
        await pilot.pause()
        assert numbers(pilot)[0] == 1900
        there.set()
        await until(pilot, lambda: numbers(pilot)[-1] < 1900)
        assert numbers(pilot)[-1] > 1880


async def test_only_rows_that_changed_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with reading(count=60) as (pilot, messenger, bob):
        mine = messenger.say_as_me(bob.person, "mine", EntryState.SENT)
        await until_shown(pilot, "✓ sent")
        drawn: list[int] = []
        refresh = history(pilot).refresh

        def noted(*regions: Region, **ways: Any) -> History:
            drawn.extend(y for region in regions or (history(pilot).size.region,) for y in region.line_range)
            return refresh(*regions, **ways)

        monkeypatch.setattr(history(pilot), "refresh", noted)
        messenger.set_state(bob.person, mine.id, EntryState.READ)
        await until_shown(pilot, "✓✓ read")
        assert 0 < len(set(drawn)) <= 2
        history(pilot).window_changed(history(pilot).window)
        await pilot.pause()
        assert len(set(drawn)) <= 2


async def test_a_jump_shows_an_entry_anywhere_and_end_returns() -> None:
    async with reading(count=2000) as (pilot, messenger, bob):
        chat(pilot).history.jump_to(entries(messenger, bob)[500].id, parse_query("entry 500").terms)
        await until_shown(pilot, "█ entry 500.")
        assert {"500", "entry"} <= {part.text for part in segments(pilot) if part.text in ("500", "entry")}
        marked = [part.style.bgcolor for part in segments(pilot) if part.text == "500" and part.style]
        plain = [part.style.bgcolor for part in segments(pilot) if part.text == "501" and part.style]
        assert marked
        assert not plain
        await pilot.press("escape")
        await until(pilot, lambda: all(part.text != "500" for part in segments(pilot)))
        assert pilot.app.focused is composer(pilot)
        await pilot.press("alt+end")
        await until_shown(pilot, "entry 1999.")
        assert history(pilot).window.last
        await pilot.press("shift+tab", "home")
        await until_shown(pilot, "█ entry 0.")
        await pilot.press("escape", *"hello", "enter")  # one's own text is shown wherever one reads
        await until_shown(pilot, "✓✓ delivered")


async def test_what_comes_while_one_reads_far_above_is_counted_and_shown_at_the_end() -> None:
    async with reading(count=2000) as (pilot, messenger, bob):
        held = entries(messenger, bob)
        chat(pilot).history.jump_to(held[500].id)
        await until_shown(pilot, "entry 500.")
        chat(pilot).action_do("newer")
        await pilot.pause()
        assert messenger.called("mark_read") == []
        before = numbers(pilot)
        messenger.receive(bob.person, "one more")
        messenger.receive(bob.person, "two more")
        messenger.receive(bob.person, "an old one", before=held[before[1]].id)
        screen = await until_shown(pilot, "2 new below")
        await until_shown(pilot, "an old one")
        assert set(numbers(pilot)) <= set(before)
        assert "two more" not in screen
        await pilot.press("alt+end")
        assert "new below" not in await until_shown(pilot, "two more")


async def test_a_reply_quotes_its_origin_leads_to_it_and_back() -> None:
    async with reading(count=2000) as (pilot, messenger, bob):
        messenger.receive(bob.person, "I meant this", reply=entries(messenger, bob)[3].id)
        await until_shown(pilot, "↳ Bob: entry 3.")
        await pilot.press("ctrl+up", "o")
        await until_shown(pilot, "█ entry 3.")
        await pilot.press("backspace")
        await until_shown(pilot, "█ I meant this")
        messenger.receive(bob.person, "and that", reply="ff" * 32)
        await until_shown(pilot, "↳ a message that is not on this device")
        await pilot.press("down", "o")
        await until_shown(pilot, "This message is not on this device")


async def test_the_cursor_goes_through_the_entries_and_scrolls_no_more_than_it_must() -> None:
    async with reading(count=60) as (pilot, _messenger, _):
        await pilot.press("ctrl+up")
        await until_shown(pilot, "█ entry 59.")
        top = numbers(pilot)[0]
        for _ in range(59 - top):
            history(pilot).action_cursor_up()
        await until_shown(pilot, f"█ entry {top}.")
        assert numbers(pilot)[0] == top
        history(pilot).action_cursor_up()
        await until_shown(pilot, f"█ entry {top - 1}.")
        assert numbers(pilot)[0] == top - 1
        await pilot.press("down", "pageup")
        await pilot.pause()
        assert f"█ entry {top}." not in shown(pilot)
        await pilot.press("up")  # where it is out of sight, it begins again in sight
        await until(pilot, lambda: "█" in shown(pilot))


async def test_an_entry_longer_than_the_view_is_read_through_by_the_cursor() -> None:
    async with reading("before") as (pilot, messenger, bob):
        for text in ("\n".join(f"line {number}." for number in range(60)), "after"):
            messenger.receive(bob.person, text)
        await pilot.press("alt+end")
        await until_shown(pilot, "after")
        await pilot.press("ctrl+up", "up", "z", "alt+end")  # z unfolds
        for step, end in (("cursor_up", "before"), ("cursor_down", "after")):
            seen = ""
            for _ in range(12):
                await history(pilot).run_action(step)
                await pilot.pause()
                seen += shown(pilot)
            assert all(f"line {number}." in seen for number in range(60))
            assert f"█ {end}" in shown(pilot)


async def test_an_entry_is_copied_without_what_could_disturb_a_terminal() -> None:
    async with reading("before") as (pilot, messenger, bob):
        await pilot.press("ctrl+up")
        for text in ATTACKS.values():
            entry = received(messenger, bob, f"x {text}")
            await until(pilot, lambda entry=entry: entry.id in history(pilot).window)  # type: ignore[misc]
            history(pilot).action_newest()
            chat(pilot).action_do("copy")
            assert pilot.app.clipboard == exact(f"x {text}").strip("\n")
            controls = {one for one in pilot.app.clipboard if unicodedata.category(one) == "Cc"}
            assert controls <= {"\t", "\n"}


async def test_addresses_and_code_are_copied_alone() -> None:
    async with reading("See https://a.example/x.\n```\nls -l\n```", "after") as (pilot, _messenger, _bob):
        await pilot.press("ctrl+up", "up", "l")
        await until(pilot, lambda: pilot.app.clipboard == "https://a.example/x")
        await pilot.press("ctrl+up", "y")
        await until(pilot, lambda: pilot.app.clipboard == "ls -l")
        await until_shown(pilot, "Code copied.")
        await pilot.press("ctrl+up", "down", "l")
        await until_shown(pilot, "This message contains no link.")


async def test_enter_says_what_can_be_done_with_an_entry() -> None:
    async with reading("plain") as (pilot, _messenger, bob):
        await pilot.press("ctrl+up")
        await opened(pilot, "enter", MenuDialog)
        assert "Reply" in shown(pilot)
        assert "Copy link" not in shown(pilot)
        await pilot.press("escape")
        await opened(pilot, "i", DetailsDialog)
        assert "2026-11-24 09:01:00 UTC" in shown(pilot)
        assert bob.person[:8] in shown(pilot)


async def test_a_reply_names_the_entry_that_it_answers() -> None:
    async with reading("a question") as (pilot, messenger, bob):
        await pilot.press("ctrl+up", "r")
        (question,) = entries(messenger, bob)
        await until(pilot, lambda: chat(pilot).composer.drafts.of(bob.person).reply == question.id)


async def test_a_day_is_gone_to() -> None:
    messenger, bob = with_bob()
    for days in range(40, 0, -1):
        messenger.receive(bob.person, f"{days} days ago.", time=START - timedelta(days=days))
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "40 days ago.")
        await pilot.press("f10", *"2026-11-01", "enter")
        await until_shown(pilot, "█ 23 days ago.")
        await pilot.press("f10", *"nonsense", "enter")
        await until_shown(pilot, "This is not a date")
        await pilot.press("escape", "f10", *"2030-01-01", "enter")
        await until_shown(pilot, "This is the newest one")
        await pilot.press("ctrl+up", "home")
        await until_shown(pilot, "█ 40 days ago.")


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-02-28", (2026, 2, 28)),
        (" 2026.2.28 ", (2026, 2, 28)),
        ("11-24", (2026, 11, 24)),
        ("11-25", (2025, 11, 25)),
        ("2026-02-30", None),
        ("24", None),
        ("02-29", None),
        ("2026-01-01x", None),
        ("", None),
        ("1-2-3-4", None),
    ],
)
def test_days_are_read(text: str, day: tuple[int, int, int] | None) -> None:
    found = parse_day(text, START.date())
    assert (found and (found.year, found.month, found.day)) == day


async def test_what_was_new_when_it_was_opened_stands_under_a_line() -> None:
    async with reading(count=360, unread=60) as (pilot, messenger, _):
        above, below = (await until_shown(pilot, "entry 300.")).split(" New ")
        assert "entry 299." in above
        assert "entry 300." in "".join(below.split("\n")[:4])
        messenger.add_contact("Carla")
        await pilot.press("alt+end")
        await until_shown(pilot, "entry 359.")
        await pilot.press("alt+home")
        await until_shown(pilot, "█ entry 308.")  # the first that was on no screen
        chat(pilot).action_do("mark_all_read")
        await until_shown(pilot, "marked as read")
        await pilot.press("alt+end", "alt+home")
        await until_shown(pilot, "█ entry 300.")
        assert " New " in shown(pilot)


async def test_where_all_was_read_that_is_said() -> None:
    async with reading(count=5) as (pilot, _messenger, _):
        await pilot.press("alt+home")
        await until_shown(pilot, "No unread messages.")


async def test_a_resize_lays_out_only_what_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    async with reading(count=2000) as (pilot, messenger, bob):
        chat(pilot).history.jump_to(entries(messenger, bob)[1000].id)
        await until_shown(pilot, "█ entry 1000.")
        for _ in range(20):
            chat(pilot).action_do("older")
            await pilot.pause()
        assert len(history(pilot).window) > 300
        laid: set[str] = set()

        def counted(*entry: Any) -> tuple[Row, ...]:
            laid.add(entry[0].id)
            return rows_of(*entry)

        monkeypatch.setattr("tui.widgets.history_layout.rows_of", counted)
        await pilot.resize_terminal(120, 34)
        await until(pilot, lambda: bool(laid))
        await pilot.pause()
        assert len(laid) <= 6 * 34


async def test_a_click_puts_the_cursor_on_an_entry_and_two_open_its_menu() -> None:
    async with reading(count=60) as (pilot, _messenger, _):
        await pilot.click(history(pilot), offset=(10, 4))
        await until(pilot, lambda: "█" in shown(pilot).split("\n")[history(pilot).region.y + 4])
        await pilot.click(history(pilot), offset=(10, 4), times=2)
        await on_top(pilot, MenuDialog)
