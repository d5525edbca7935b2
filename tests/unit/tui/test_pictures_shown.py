"""Pictures in the history: drawn where the person asks for it, hidden again, and gone with their entry."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from rich.style import Style
from textual.pilot import Pilot

from chat.interface import PICTURES_UNCONFINED, ContactView, EntryView, FileState, FileView, PictureView
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chatting, history, shown, until, until_shown, with_bob
from tui.actions import command
from tui.text.pictures import HALF, cells, colours, escaped, may_be_picture, spans

RED, BLUE = (224, 32, 32), (32, 32, 224)
PICTURE = PictureView(width=4, height=3, pixels=bytes([*RED * 4, *BLUE * 4, *RED * 4]))


PHOTO = FileView("sunset.jpg", "image/jpeg", 4_000, FileState.WHOLE, 4_000)


def with_picture(state: FileState = FileState.WHOLE) -> tuple[FakeMessenger, ContactView, EntryView]:
    messenger, bob = with_bob()
    entry = messenger.receive_file(bob.person, replace(PHOTO, state=state), b"")
    messenger.pictures[entry.id] = PICTURE
    return messenger, bob, entry


async def choose(pilot: Pilot[None], entry: EntryView) -> None:
    await until_shown(pilot, "sunset.jpg")
    history(pilot).choose(entry.id)
    await until(pilot, lambda: history(pilot).has_focus)


def drawn(pilot: Pilot[None]) -> list[Style | None]:
    """The styles of all half blocks in the view, row by row."""
    view = history(pilot)
    rows = [view._strip(y, view._measured()) for y in range(view.size.height)]
    return [segment.style for row in rows for segment in row if HALF in segment.text]


async def test_v_shows_a_picture_and_hides_it_again() -> None:
    messenger, bob, entry = with_picture()
    async with chatting(messenger) as pilot:
        await choose(pilot, entry)
        assert not drawn(pilot)
        await pilot.press("p")
        await until(pilot, lambda: len(drawn(pilot)) == 2)
        upper, lower = drawn(pilot)
        assert upper is not None
        assert lower is not None
        assert upper.color is not None
        assert upper.bgcolor is not None
        assert lower.color is not None
        assert (upper.color.name, upper.bgcolor.name, lower.color.name) == ("#e02020", "#2020e0", "#e02020")
        ((contact, asked, width, height),) = messenger.called("show_picture")
        assert (contact, asked) == (bob.person, entry.id)
        assert width in range(1, 101)
        assert height in range(1, 81)
        await pilot.press("p")
        await until(pilot, lambda: not drawn(pilot))


async def test_a_picture_goes_with_its_entry_and_with_its_conversation() -> None:
    messenger, bob, entry = with_picture()
    async with chatting(messenger) as pilot:
        await choose(pilot, entry)
        await pilot.press("p")
        await until(pilot, lambda: bool(drawn(pilot)))
        await messenger.delete(bob.person, entry.id)
        await until(pilot, lambda: not drawn(pilot))
        assert not history(pilot)._setting.pictures


async def test_pictures_of_a_contact_are_shown_as_they_come_where_that_is_allowed() -> None:
    messenger, bob, entry = with_picture(FileState.TAKING)
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "sunset.jpg")
        messenger.move_file(bob.person, entry.id, FileState.WHOLE)
        await pilot.pause()
        assert not messenger.called("show_picture")
        await pilot.app.screen.run_action(command("pictures"))
        await until(pilot, lambda: len(drawn(pilot)) == 2)
        assert messenger._preferences[f"pictures.{bob.person}"] == "on"
        later = messenger.receive_file(bob.person, replace(PHOTO, name="later.png", state=FileState.TAKING))
        messenger.pictures[later.id] = PICTURE
        messenger.move_file(bob.person, later.id, FileState.WHOLE)
        await until(pilot, lambda: len(drawn(pilot)) == 4)


async def test_where_pictures_cannot_be_confined_the_person_is_asked_once() -> None:
    messenger, _bob, entry = with_picture()
    messenger.confines = False
    async with chatting(messenger) as pilot:
        await choose(pilot, entry)
        for answer in ("n", "y"):
            await pilot.press("p")
            await until_shown(pilot, "Decode pictures here all the same?")
            assert not drawn(pilot)
            await pilot.press(answer)
        await until(pilot, lambda: bool(drawn(pilot)))
        assert messenger._preferences[PICTURES_UNCONFINED] == "on"
        await pilot.press("p")
        await until(pilot, lambda: not drawn(pilot))
        await pilot.press("p")
        await until(pilot, lambda: bool(drawn(pilot)))


async def test_nothing_asks_about_a_picture_that_comes_by_itself() -> None:
    messenger, bob, _entry = with_picture()
    messenger.confines = False
    messenger._preferences[f"pictures.{bob.person}"] = "on"
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "This system cannot confine")
        assert not drawn(pilot)
        assert "all the same?" not in shown(pilot)


@pytest.mark.parametrize("state", [FileState.ASKS, FileState.TAKING, FileState.PAUSED])
async def test_a_picture_that_is_not_whole_is_not_asked_for(state: FileState) -> None:
    messenger, _bob, entry = with_picture(state)
    async with chatting(messenger) as pilot:
        await choose(pilot, entry)
        await pilot.press("p")
        await until_shown(pilot, "no picture that can be shown")
        assert not messenger.called("show_picture")


async def test_the_reason_is_said_where_a_picture_is_none() -> None:
    messenger, _bob, entry = with_picture()
    messenger.pictures.clear()
    async with chatting(messenger) as pilot:
        await choose(pilot, entry)
        await pilot.press("p")
        await until_shown(pilot, "This file is not a picture that can be shown.")
        assert not drawn(pilot)


def test_a_cell_has_two_pixels_and_the_last_row_may_have_one() -> None:
    assert list(cells(PICTURE, 80)) == [[(RED, BLUE)] * 4, [(RED, None)] * 4]
    assert [spans(row) for row in cells(PICTURE, 80)] == [
        [("#e02020#2020e0", HALF * 4)],
        [("#e02020", HALF * 4)],
    ]
    assert colours("#e02020#2020e0") == ["#e02020", "#2020e0"]
    assert colours("hit") == []


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 9])
def test_a_picture_fits_into_few_columns(columns: int) -> None:
    assert {len(row) for row in cells(PICTURE, columns)} == {min(columns, 4)}


def test_a_terminal_draws_all_colours_or_256() -> None:
    first, last = cells(PICTURE, 80)
    assert escaped(first, all_colours=True) == f"\x1b[0;38;2;224;32;32;48;2;32;32;224m{HALF * 4}\x1b[0m"
    assert escaped(last, all_colours=False) == f"\x1b[0;38;5;167m{HALF * 4}\x1b[0m"


def test_a_name_or_a_type_says_what_may_be_a_picture() -> None:
    whole = FileView("a.PNG", "", 1, FileState.WHOLE, 1)
    assert may_be_picture(whole)
    assert may_be_picture(FileView("a", "image/webp", 1, FileState.WITHHELD, 1))
    assert not may_be_picture(FileView("a.svg", "image/svg+xml", 1, FileState.WHOLE, 1))
    assert not may_be_picture(FileView("photo.jpg.exe", "", 1, FileState.WHOLE, 1))
